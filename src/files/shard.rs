//! One of several parts of a job, which independent processes do: its number, how many there are, and where it is kept.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// Most shards of a job.
pub const MOST_SHARDS: usize = 100_000;

/// Shard `index` of `count`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Which one, below `count`.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// All of the job.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index` of `count`.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is no such shard.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        if index < count && count <= MOST_SHARDS {
            return Ok(Self { index, count });
        }
        Err(Error::usage(
            format!("there is no shard {index}/{count}"),
            format!(
                "shards are counted from 0: those of four are 0/4, 1/4, 2/4 and 3/4; there can be {MOST_SHARDS} of them"
            ),
        ))
    }

    /// The shard of a task of a Slurm job array, of the variables that Slurm sets; `None` outside of one. Tasks are counted
    /// from the smallest, by their distance: `--array=0-3`, `1-4` and `10-40:10` are four shards each.
    ///
    /// # Errors
    /// [`Error::Usage`] when the variables do not tell: an array of tasks picked one by one (`--array=1,5,6`).
    pub fn of_slurm(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |name: &str| variable(name).and_then(|text| text.trim().parse::<usize>().ok());
        let (Some(task), Some(count)) = (number("SLURM_ARRAY_TASK_ID"), number("SLURM_ARRAY_TASK_COUNT")) else {
            return Ok(None);
        };
        let first = number("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
        let step = number("SLURM_ARRAY_TASK_STEP").unwrap_or(1).max(1);
        let index = task.checked_sub(first).filter(|distance| distance.is_multiple_of(step)).map(|d| d / step);
        let last = number("SLURM_ARRAY_TASK_MAX").is_none_or(|last| last == first + step * count.saturating_sub(1));
        match index.filter(|&index| index < count && last) {
            Some(index) => Self::new(index, count).map(Some),
            None => Err(Error::usage(
                format!("task {task} of this Slurm array of {count} tasks is not one of evenly spaced ones"),
                "submit the array as --array=0-N, or name the shard: --shard i/n (0/1 = all of the work)",
            )),
        }
    }

    /// True when there is no other shard.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// The items of this shard where each of `n` items costs the same.
    #[must_use]
    pub fn range(self, n: usize) -> Range<usize> {
        let cut = |index: usize| (n as u128 * index as u128 / self.count as u128) as usize;
        cut(self.index)..cut(self.index + 1)
    }

    /// The shard of an item that begins when `before` of the `total` cost is behind.
    #[must_use]
    pub fn number_at(self, before: u64, total: u64) -> usize {
        let at = u128::from(before) * self.count as u128 / u128::from(total.max(1));
        (at as usize).min(self.count - 1)
    }

    /// The folder of the shards of the output `out`: `OUT.shards`, beside it.
    #[must_use]
    pub fn folder_of(out: &Path) -> PathBuf {
        // A trailing slash must not end up inside the name.
        let mut name = out.components().as_path().as_os_str().to_owned();
        name.push(".shards");
        PathBuf::from(name)
    }

    /// Where this shard of the output `out` is kept: `OUT.shards/00003-of-00008`.
    #[must_use]
    pub fn place(self, out: &Path) -> PathBuf {
        Self::folder_of(out).join(self.name())
    }

    /// `00003-of-00008`.
    #[must_use]
    pub fn name(self) -> String {
        format!("{:05}-of-{:05}", self.index, self.count)
    }

    /// The shard of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (index, count) = name.split_once("-of-")?;
        let shard = Self::new(index.parse().ok()?, count.parse().ok()?).ok()?;
        (shard.name() == name).then_some(shard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.index, self.count))
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no shard: write i/n, the first of four as 0/4");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse().map_err(|_| wrong());
        Self::new(number(index)?, number(count)?).map_err(|error| format!("{error}; {}", error.help()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_zero_and_lead_back() {
        for text in ["0/1", "0/4", "3/4", "99999/100000"] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.to_string(), text);
            assert_eq!(Shard::from_name(&shard.name()), Some(shard));
        }
        for text in ["4/4", "1", "a/4", "0/0", "-1/4", "1/100001", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert!("4/4".parse::<Shard>().unwrap_err().contains("counted from 0"));
        for name in ["00000-of-00000", "0-of-4", "00004-of-00004", "x-of-y", "notes.txt"] {
            assert_eq!(Shard::from_name(name), None, "{name}");
        }
        let shard = Shard::new(1, 4).unwrap();
        assert_eq!(shard.place(Path::new("a/store/")), Path::new("a/store.shards/00001-of-00004"));
    }

    #[test]
    fn every_item_has_one_shard_of_about_the_same_cost() {
        for (n, count) in [(0, 3), (2, 3), (10, 3), (1000, 7), (7, 7)] {
            let ranges: Vec<_> = (0..count).map(|i| Shard::new(i, count).unwrap().range(n)).collect();
            assert_eq!((ranges[0].start, ranges[count - 1].end), (0, n));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(ranges.iter().all(|range| range.len().abs_diff(n / count) <= 1));
        }
        let shard = Shard::new(0, 4).unwrap();
        assert_eq!([0, 24, 25, 50, 75, 99].map(|before| shard.number_at(before, 100)), [0, 0, 1, 2, 3, 3]);
        assert_eq!((shard.number_at(0, 0), shard.number_at(u64::MAX, 1)), (0, 3));
    }

    #[test]
    fn slurms_variables_become_a_shard() {
        let of = |id: &str, count: &str, min: &str, max: &str, step: &str| {
            let all = [("ID", id), ("COUNT", count), ("MIN", min), ("MAX", max), ("STEP", step)];
            let find = |name: &str| all.iter().find(|(key, _)| name == format!("SLURM_ARRAY_TASK_{key}"));
            Shard::of_slurm(|name| find(name).map(|(_, value)| (*value).to_owned()).filter(|text| !text.is_empty()))
        };
        assert_eq!(of("3", "4", "0", "3", "1").unwrap(), Some(Shard { index: 3, count: 4 }));
        assert_eq!(of("1", "4", "1", "4", "").unwrap(), Some(Shard { index: 0, count: 4 }));
        assert_eq!(of("30", "4", "10", "40", "10").unwrap(), Some(Shard { index: 2, count: 4 }));
        assert_eq!(of("", "", "", "", "").unwrap(), None);
        for odd in [of("5", "3", "1", "6", "1"), of("9", "2", "0", "1", "1"), of("1", "2", "0", "10", "10")] {
            assert!(odd.unwrap_err().help().contains("--shard"));
        }
    }
    proptest::proptest! {
        #[test]
        fn every_name_leads_back_and_no_text_makes_it_panic(
            index in 0usize..100_000, more in 1usize..100_000, text in "[0-9]{0,25}(-of-|/)?[0-9]{0,25}",
        ) {
            if let Ok(shard) = Shard::new(index, index + more) {
                assert_eq!(Shard::from_name(&shard.name()), Some(shard));
                assert_eq!(shard.to_string().parse(), Ok(shard));
            }
            if let Some(shard) = Shard::from_name(&text) {
                assert_eq!(shard.name(), text);
            }
            let _ = text.parse::<Shard>();
        }
    }
}
