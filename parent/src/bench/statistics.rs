//! Figures of many measurements.

/// What a table shows of one series; in the unit of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) minimum: f64,
    pub(crate) mean: f64,
}

impl Figures {
    /// Values in any order; None if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            p99: quantile(&sorted, 0.99)?,
            minimum: *sorted.first()?,
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        })
    }
}

pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The smallest value that at least this share of all does not exceed: always one that was measured.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_hundred_known_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let figures = Figures::of(&values).unwrap();
        assert_eq!(figures, Figures { median: 50.0, p99: 99.0, minimum: 1.0, mean: 50.5 });
    }

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        for (values, share, expected) in [
            (vec![7.0], 0.5, 7.0),
            (vec![7.0], 0.99, 7.0),
            (vec![1.0, 9.0], 0.5, 1.0),
            (vec![1.0, 2.0, 9.0], 0.5, 2.0),
            (vec![1.0, 2.0, 9.0], 0.99, 9.0),
            (vec![1.0, 2.0, 9.0], 0.0, 1.0),
        ] {
            assert_eq!(quantile(&values, share), Some(expected), "{values:?} {share}");
        }
    }

    #[test]
    fn of_nothing_there_are_no_figures() {
        assert_eq!(Figures::of(&[]), None);
    }
}
