/*
 * Orders and what they cost.
 */
package org.example.orders;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Many lines, one customer. */
@Entity
@Table(name = "orders")
public class Order implements Comparable<Order> {
    private static final int LIMIT = 100;

    private final List<Line> lines = new ArrayList<>();
    private boolean open = true;

    public Order() {}

    /**
     * Appends a line.
     */
    public void add(Line line) {
        if (!open) {
            throw new IllegalStateException("closed");
        }
        int total = lines.size();
        if (total >= LIMIT) {
            throw new IllegalArgumentException("full");
        }
        lines.add(line);
    }

    @Override
    public int compareTo(Order other) {
        double total = total();
        double others = other.total();
        if (total == others) {
            return Integer.compare(lines.size(), other.lines.size());
        }
        return Double.compare(total, others);
    }

    public double total() {
        double total = 0;
        for (Line line : lines) {
            total += line.gross();
        }
        if (total < 0) {
            throw new ArithmeticException();
        }
        return total;
    }

    public boolean isOpen() {
        return open;
    }

    public <T> List<T> map(Function<Line, T> f) {
        return lines.stream().map(f).toList();
    }

    /** One line of an order. */
    public record Line(String name, int cents, double rate) {
        double gross() {
            return cents * (1 + rate);
        }
    }

    enum State {
        OPEN,
        PAID,
        SENT
    }
}
