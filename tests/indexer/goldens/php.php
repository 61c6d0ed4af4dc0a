<?php

declare(strict_types=1);

namespace Example\Orders;

use Countable;
use InvalidArgumentException;
use Psr\Log\LoggerInterface;

const LIMIT = 100;

interface Priced
{
    public function total(): float;
}

/**
 * One line of an order.
 */
final class Line
{
    public function __construct(
        public readonly string $name,
        public readonly int $cents,
    ) {
    }
}

/**
 * Many lines, one customer.
 */
#[Entity]
class Order implements Priced, Countable
{
    use Timestamps;

    /** @var Line[] */
    private array $lines = [];

    public function __construct(private LoggerInterface $logger)
    {
        $this->logger->debug('new order');
    }

    /** Appends a line. */
    public function add(Line $line): static
    {
        $total = count($this->lines);
        if ($total >= LIMIT) {
            throw new InvalidArgumentException('full');
        }
        $this->lines[] = $line;
        $this->logger->info('added', ['name' => $line->name]);
        return $this;
    }

    public function total(): float
    {
        $total = 0.0;
        foreach ($this->lines as $line) {
            $total += $line->cents / 100;
        }
        if ($total < 0) {
            $this->logger->warning('negative');
        }
        return $total;
    }

    public function count(): int
    {
        return count($this->lines);
    }
}

function report(Order ...$orders): string
{
    $rows = [];
    $total = 0;
    foreach ($orders as $order) {
        $total += $order->total();
        $rows[] = sprintf('%d lines', count($order));
    }
    $rows[] = $total;
    return implode("\n", $rows);
}
