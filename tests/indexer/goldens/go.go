// Package orders knows orders and what they cost.
package orders

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed says that nothing may be added.
var ErrClosed = errors.New("closed")

const limit = 100

type (
	// ID names an order.
	ID string
	// Rate is a tax.
	Rate float64
)

// Line is one line of an order.
type Line struct {
	Name  string
	Cents int
	Rate  Rate
}

// Gross is the price with its tax.
func (l Line) Gross() float64 {
	return float64(l.Cents) * (1 + float64(l.Rate))
}

// Order is many lines for one customer.
type Order struct {
	ID    ID
	Lines []Line
	open  bool
}

// Add appends a line to an order that is open.
func (o *Order) Add(line Line) error {
	if !o.open {
		return ErrClosed
	}
	total := len(o.Lines)
	if total >= limit {
		return fmt.Errorf("more than %d lines", limit)
	}
	o.Lines = append(o.Lines, line)
	return nil
}

// Map applies f to every line.
func Map[T any](o *Order, f func(Line) T) []T {
	total := make([]T, 0, len(o.Lines))
	for _, line := range o.Lines {
		total = append(total, f(line))
	}
	return total
}

// State says how far an order is.
func State(o *Order) string {
	total := 0.0
	for _, line := range o.Lines {
		total += line.Gross()
	}
	switch {
	case total == 0:
		return "empty"
	case total < 100:
		return "small"
	case strings.HasPrefix(string(o.ID), "x"):
		return "special"
	default:
		return "large"
	}
}
