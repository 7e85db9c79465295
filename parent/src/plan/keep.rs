//! Text that a plan makes itself, kept as long as the plan is.

use std::cell::OnceCell;

/// An append-only store: what is put in stays where it is, so that steps can borrow it while more is put in.
#[derive(Debug)]
pub(super) struct Keep<T> {
    first: OnceCell<Box<Node<T>>>,
}

#[derive(Debug)]
struct Node<T> {
    value: T,
    next: OnceCell<Box<Node<T>>>,
}

impl<T> Default for Keep<T> {
    fn default() -> Self {
        Self { first: OnceCell::new() }
    }
}

impl<T> Keep<T> {
    /// Puts `value` at the end. Plans keep a few dozen, so walking there costs nothing that matters.
    pub(super) fn keep(&self, value: T) -> &T {
        let mut end = &self.first;
        while let Some(node) = end.get() {
            end = &node.next;
        }
        &end.get_or_init(|| Box::new(Node { value, next: OnceCell::new() })).value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_while_more_is_kept() {
        let keep = Keep::default();
        let first = keep.keep(String::from("a"));
        let second = keep.keep(String::from("b"));
        assert_eq!((first.as_str(), second.as_str()), ("a", "b"));
    }
}
