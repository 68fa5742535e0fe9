/// Where a member of a C structure lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    offset: u32,
    size: u32,
}

/// Constructor of the tables.
#[expect(non_snake_case, reason = "the tables hold thousands of them")]
pub(super) const fn F(offset: u32, size: u32) -> Field {
    Field { offset, size }
}

/// A member the version does not have.
pub(super) const N: Field = Field::ABSENT;

impl Field {
    /// A member the version does not have.
    pub(crate) const ABSENT: Self = Self { offset: u32::MAX, size: 0 };

    /// Whether the version has it.
    pub(crate) const fn is_present(self) -> bool {
        self.offset != u32::MAX
    }

    /// Offset in bytes. An absent member has none: using it is a bug of the base.
    pub(crate) const fn offset(self) -> usize {
        assert!(self.is_present(), "this version's structure has no such member");
        self.offset as usize
    }

    /// Size in bytes; 0 for an absent member.
    pub(crate) const fn size(self) -> usize {
        self.size as usize
    }

    /// The member's address.
    ///
    /// # Safety
    /// `base` must point to a structure of the table this field comes from.
    pub(crate) unsafe fn ptr<T>(self, base: *const u8) -> *mut T {
        // SAFETY: the member lies inside the structure.
        unsafe { base.add(self.offset()).cast_mut().cast() }
    }

    /// Reads the member, whose size must be `T`'s.
    ///
    /// # Safety
    /// As [`ptr`](Self::ptr); the structure must be readable and the member's bytes valid for `T`.
    pub(crate) unsafe fn read<T: Copy>(self, base: *const u8) -> T {
        debug_assert!(size_of::<T>() <= self.size(), "member read with a wider type");
        // SAFETY: the caller vouches for the structure; no alignment is assumed.
        unsafe { self.ptr::<T>(base).read_unaligned() }
    }

    /// Writes the member, whose size must be `T`'s.
    ///
    /// # Safety
    /// As [`ptr`](Self::ptr); the structure must be writable.
    pub(crate) unsafe fn write<T: Copy>(self, base: *mut u8, value: T) {
        debug_assert!(size_of::<T>() <= self.size(), "member written with a wider type");
        // SAFETY: the caller vouches for the structure; no alignment is assumed.
        unsafe { self.ptr::<T>(base).write_unaligned(value) }
    }
}
