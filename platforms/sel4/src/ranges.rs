use alloc::vec::Vec;

/// Free address ranges, sorted, never touching each other.
pub(crate) struct Ranges {
    free: Vec<(u64, u64)>,
}

impl Ranges {
    /// One free range, `first..end`.
    pub fn new(first: u64, end: u64) -> Self {
        Self { free: Vec::from([(first, end)]) }
    }

    /// Takes `len` bytes aligned to `align` whose first and last byte lie in `first..=last`: the lowest there are.
    pub fn take(&mut self, len: u64, align: u64, first: u64, last: u64) -> Option<u64> {
        for index in 0..self.free.len() {
            let (start, end) = self.free[index];
            let Some(at) = start.max(first).checked_next_multiple_of(align) else { continue };
            match at.checked_add(len) {
                Some(stop) if stop <= end && stop - 1 <= last => {
                    self.free.remove(index);
                    if stop < end {
                        self.free.insert(index, (stop, end));
                    }
                    if start < at {
                        self.free.insert(index, (start, at));
                    }
                    return Some(at);
                }
                _ => {}
            }
        }
        None
    }

    /// Gives `first..end` back.
    pub fn put(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let index = self.free.partition_point(|range| range.0 < first);
        self.free.insert(index, (first, end));
        if index + 1 < self.free.len() && self.free[index].1 == self.free[index + 1].0 {
            self.free[index].1 = self.free[index + 1].1;
            self.free.remove(index + 1);
        }
        if index > 0 && self.free[index - 1].1 == self.free[index].0 {
            self.free[index - 1].1 = self.free[index].1;
            self.free.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_range_that_fits_is_taken() {
        let mut ranges = Ranges::new(0x1000, 0x10000);
        assert_eq!(ranges.take(0x1000, 0x1000, 0, u64::MAX), Some(0x1000));
        assert_eq!(ranges.take(0x2000, 0x4000, 0, u64::MAX), Some(0x4000));
        assert_eq!(ranges.take(0x1000, 0x1000, 0x8000, u64::MAX), Some(0x8000));
        assert_eq!(ranges.take(0x1000, 0x1000, 0, 0x1fff), None);
        assert_eq!(ranges.take(0x2000, 0x1000, 0, 0x3fff), Some(0x2000));
        assert_eq!(ranges.take(0x8000, 0x1000, 0, u64::MAX), None);
        assert_eq!(ranges.take(u64::MAX, 0x1000, 0, u64::MAX), None);
    }

    #[test]
    fn neighbours_become_one_again() {
        let mut ranges = Ranges::new(0, 0x4000);
        let all: Vec<u64> = (0..4).filter_map(|_| ranges.take(0x1000, 0x1000, 0, u64::MAX)).collect();
        assert_eq!(all, [0, 0x1000, 0x2000, 0x3000]);
        for at in [0x1000, 0x3000, 0, 0x2000] {
            ranges.put(at, at + 0x1000);
        }
        assert_eq!(ranges.free, [(0, 0x4000)]);
        ranges.put(5, 5);
        assert_eq!(ranges.free, [(0, 0x4000)]);
    }
}
