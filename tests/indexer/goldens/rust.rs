//! Orders and what they cost.

use std::collections::HashMap;
use std::fmt;

pub type Id = u64;

const LIMIT: usize = 100;

/// One line of an order.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub cents: u64,
}

/// Why nothing was added.
#[derive(Debug)]
pub enum Refused {
    Closed,
    Full { limit: usize },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Closed => write!(f, "closed"),
            Refused::Full { limit } => write!(f, "more than {}", limit),
        }
    }
}

pub struct Order {
    lines: Vec<Line>,
    open: bool,
}

impl Order {
    pub fn new() -> Self {
        Order { lines: Vec::new(), open: true }
    }

    /// Appends a line.
    pub fn add(&mut self, line: Line) -> Result<usize, Refused> {
        if !self.open {
            return Err(Refused::Closed);
        }
        let total = self.lines.len();
        if total >= LIMIT {
            return Err(Refused::Full { limit: LIMIT });
        }
        self.lines.push(line);
        Ok(total + 1)
    }

    #[inline]
    pub fn by_name(&self) -> HashMap<&str, u64> {
        let mut total = HashMap::new();
        for line in &self.lines {
            *total.entry(line.name.as_str()).or_insert(0) += line.cents;
        }
        if total.is_empty() {
            eprintln!("an empty order");
        }
        total
    }
}

macro_rules! order {
    ($($name:expr => $cents:expr),*) => {{
        let mut order = Order::new();
        $(order.add(Line { name: $name.into(), cents: $cents }).unwrap();)*
        order
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up() {
        let total = order!["a" => 1, "a" => 2].by_name();
        assert_eq!(total["a"], 3);
    }
}
