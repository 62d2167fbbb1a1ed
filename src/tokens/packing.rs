//! Which sequences are computed together.

/// Parts of `lengths` (tokens of each sequence) that are computed together: each part holds at most `budget` tokens, or
/// one sequence that is longer alone. Sequences of like length come together, the longest first; those of equal length
/// stay in order. Every index occurs once.
#[must_use]
pub fn pack(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut filled = 0;
    for i in order {
        match parts.last_mut() {
            Some(part) if filled + lengths[i] <= budget => {
                part.push(i);
                filled += lengths[i];
            }
            _ => {
                parts.push(vec![i]);
                filled = lengths[i];
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(pack(&[3, 9, 3, 2, 5], 8), [vec![1], vec![4, 0], vec![2, 3]]);
        assert_eq!(pack(&[4, 4, 4], 8), [vec![0, 1], vec![2]]);
        assert!(pack(&[], 8).is_empty());
    }

    proptest! {
        #[test]
        fn each_once_within_the_budget(lengths in proptest::collection::vec(2usize..300, 0..200), budget in 1usize..600) {
            let parts = pack(&lengths, budget);
            let mut all: Vec<usize> = parts.concat();
            prop_assert!(all.windows(2).all(|w| (lengths[w[1]], w[0]) <= (lengths[w[0]], w[1]) || lengths[w[1]] < lengths[w[0]]));
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..lengths.len()));
            for part in parts {
                let tokens: usize = part.iter().map(|&i| lengths[i]).sum();
                prop_assert!(!part.is_empty() && (tokens <= budget || part.len() == 1));
            }
        }
    }
}
