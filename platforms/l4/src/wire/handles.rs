use alloc::collections::BTreeMap;
use alloc::collections::btree_map::{Entry, VacantEntry};
use rumpload::resource::{HostError, HostErrorKind};

/// What a client holds, under numbers of the client's choice: so it can give back what it asked for even if the answer got lost.
pub(crate) struct Handles<T> {
    held: BTreeMap<u64, T>,
    limit: usize,
}

impl<T> Handles<T> {
    /// Room for `limit` things.
    pub const fn new(limit: usize) -> Self {
        Self { held: BTreeMap::new(), limit }
    }

    /// The place for what the client will know as `handle`.
    ///
    /// # Errors
    /// [`OutOfMemory`](HostErrorKind::OutOfMemory) if the client holds as many as it may,
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if one of them has that number.
    pub fn vacant(&mut self, handle: u64) -> Result<VacantEntry<'_, u64, T>, HostError> {
        let full = self.held.len() >= self.limit;
        match self.held.entry(handle) {
            Entry::Occupied(_) => Err(HostErrorKind::InvalidInput.into()),
            Entry::Vacant(_) if full => Err(HostErrorKind::OutOfMemory.into()),
            Entry::Vacant(vacant) => Ok(vacant),
        }
    }

    /// What the client knows as `handle`.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if that is nothing.
    pub fn get(&self, handle: u64) -> Result<&T, HostError> {
        self.held.get(&handle).ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    /// Takes back what the client knows as `handle`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&mut self, handle: u64) -> Result<T, HostError> {
        self.held.remove(&handle).ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    /// Takes everything back.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        core::mem::take(&mut self.held).into_values()
    }

    /// How many things the client holds.
    pub fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_once_at_a_time_and_there_is_an_end() {
        let mut handles = Handles::new(2);
        handles.vacant(7).expect("room").insert('a');
        assert_eq!(handles.vacant(7).map(|_| ()).map_err(|error| error.kind()), Err(HostErrorKind::InvalidInput));
        handles.vacant(0).expect("room").insert('b');
        assert_eq!(handles.vacant(8).map(|_| ()).map_err(|error| error.kind()), Err(HostErrorKind::OutOfMemory));
        assert_eq!(handles.remove(7), Ok('a'));
        assert!(handles.get(7).is_err() && handles.remove(7).is_err());
        handles.vacant(u64::MAX).expect("room").insert('c');
        assert_eq!((handles.get(0), handles.get(u64::MAX), handles.len()), (Ok(&'b'), Ok(&'c'), 2));
        assert_eq!(handles.drain().count(), 2);
        assert_eq!(handles.len(), 0);
    }
}
