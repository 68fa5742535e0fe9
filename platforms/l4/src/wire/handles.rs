use alloc::vec::Vec;
use rumpload::resource::{HostError, HostErrorKind};

/// What a client holds, under numbers that are not used again when it gives something back.
pub(crate) struct Handles<T> {
    slots: Vec<Slot<T>>,
    limit: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Handles<T> {
    /// Room for `limit` things.
    pub const fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), limit }
    }

    /// A place for one more.
    ///
    /// # Errors
    /// [`OutOfMemory`](HostErrorKind::OutOfMemory) if the client holds as many as it may.
    pub fn vacant(&mut self) -> Result<Vacant<'_, T>, HostError> {
        let index = match self.slots.iter().position(|slot| slot.value.is_none()) {
            Some(index) => index,
            None if self.slots.len() < self.limit => {
                self.slots.try_reserve(1).map_err(|_| HostErrorKind::OutOfMemory)?;
                self.slots.push(Slot { generation: 0, value: None });
                self.slots.len() - 1
            }
            None => return Err(HostErrorKind::OutOfMemory.into()),
        };
        Ok(Vacant { slot: &mut self.slots[index], index })
    }

    /// What the client knows as `handle`.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if that is nothing.
    pub fn get(&self, handle: u64) -> Result<&T, HostError> {
        let slot = index(handle).and_then(|index| self.slots.get(index));
        let value = slot.filter(|slot| u64::from(slot.generation) == handle >> 32).and_then(|slot| slot.value.as_ref());
        value.ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    /// Takes back what the client knows as `handle`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&mut self, handle: u64) -> Result<T, HostError> {
        self.get(handle)?;
        let slot = index(handle).and_then(|index| self.slots.get_mut(index));
        slot.and_then(|slot| slot.value.take()).ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    /// Takes everything back.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.slots.iter_mut().filter_map(|slot| slot.value.take())
    }

    /// How many things the client holds.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.value.is_some()).count()
    }
}

fn index(handle: u64) -> Option<usize> {
    (handle as u32 as usize).checked_sub(1)
}

/// A place that is free.
pub(crate) struct Vacant<'h, T> {
    slot: &'h mut Slot<T>,
    index: usize,
}

impl<T> Vacant<'_, T> {
    /// Puts `value` there; the handle.
    pub fn insert(self, value: T) -> u64 {
        self.slot.generation = self.slot.generation.wrapping_add(1);
        self.slot.value = Some(value);
        u64::from(self.slot.generation) << 32 | (self.index as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_not_used_again() {
        let mut handles = Handles::new(2);
        let first = handles.vacant().expect("room").insert('a');
        let second = handles.vacant().expect("room").insert('b');
        assert!(handles.vacant().is_err());
        assert_eq!(handles.remove(first), Ok('a'));
        let third = handles.vacant().expect("room").insert('c');
        assert_ne!(first, third);
        assert_eq!((handles.get(second), handles.get(third)), (Ok(&'b'), Ok(&'c')));
        for unknown in [first, 0, 1, 3, u64::MAX, third ^ 1 << 40, third & 0xffff_ffff] {
            assert!(handles.get(unknown).is_err() && handles.remove(unknown).is_err());
        }
        assert_eq!(handles.len(), 2);
        assert_eq!(handles.drain().count(), 2);
        assert!(handles.get(second).is_err());
    }
}
