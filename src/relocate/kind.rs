//! What a relocation stores, and the only code that writes relocated bytes.
//!
//! S is the symbol's value, A the addend, P the place, B the run address of the patched section, G the address of the symbol's
//! slot in the global offset table. All arithmetic is exact (128 bits) and every store is checked against its field.

/// The meaning of a relocation number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    None,
    /// 64 bits: S + A, modulo 2^64.
    Abs64,
    /// 64 bits: S + A - P, modulo 2^64.
    Rel64,
    /// 32 bits: S + A, from 0 to 2^32 - 1.
    Abs32Unsigned,
    /// 32 bits: S + A, from -2^31 to 2^31 - 1.
    Abs32Signed,
    /// 32 bits: S + A on a 32-bit machine, modulo 2^32.
    Abs32Wrapping,
    /// 32 bits: S + A - P, from -2^31 to 2^31 - 1.
    Rel32,
    /// 32 bits: S + A - P on a 32-bit machine, modulo 2^32.
    Rel32Wrapping,
    /// 16 bits: S + A, from -2^15 to 2^16 - 1.
    Abs16,
    /// 16 bits: S + A - P, from -2^15 to 2^15 - 1.
    Rel16,
    /// 8 bits: S + A, from -2^7 to 2^8 - 1.
    Abs8,
    /// 8 bits: S + A - P, from -2^7 to 2^7 - 1.
    Rel8,
    /// 32 bits: G + A - P, from -2^31 to 2^31 - 1.
    GotRel32,
    /// 64 bits: S.
    Symbol64,
    /// 32 bits: S on a 32-bit machine.
    Symbol32,
    /// 64 bits: B + A.
    Base64,
    /// 32 bits: B + A on a 32-bit machine.
    Base32,
}

/// A value that did not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub value: i128,
    pub bits: u8,
}

/// What a relocation computes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    /// S, or G for the kinds that want it.
    pub symbol: u64,
    /// A.
    pub addend: i64,
    /// P.
    pub place: u64,
    /// B.
    pub base: u64,
}

impl Kind {
    /// Bytes the store covers.
    #[inline]
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Abs64 | Self::Rel64 | Self::Symbol64 | Self::Base64 => 8,
            Self::Abs16 | Self::Rel16 => 2,
            Self::Abs8 | Self::Rel8 => 1,
            _ => 4,
        }
    }

    /// Whether the value depends on the symbol at all.
    #[inline]
    pub const fn wants_symbol(self) -> bool {
        !matches!(self, Self::None | Self::Base64 | Self::Base32)
    }

    /// Whether this is a plain address of `len` bytes.
    pub const fn is_pointer(self, len: usize) -> bool {
        matches!((self, len), (Self::Abs64, 8) | (Self::Abs32Wrapping, 4))
    }

    /// Whether the symbol needs a slot in the global offset table.
    #[inline]
    pub const fn wants_got(self) -> bool {
        matches!(self, Self::GotRel32)
    }

    /// The addend that little-endian `place` holds, sign-extended.
    #[inline]
    pub fn addend_in_place(self, place: &[u8]) -> i64 {
        match *place {
            [a] => i64::from(a as i8),
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// Stores into `place`, which is [`len`](Self::len) bytes long.
    #[inline]
    pub fn apply(self, place: &mut [u8], on: Operands) -> Result<(), Misfit> {
        let absolute = on.symbol.wrapping_add_signed(on.addend);
        match self {
            Self::None => {}
            Self::Abs64 => place.copy_from_slice(&absolute.to_le_bytes()),
            Self::Rel64 => place.copy_from_slice(&absolute.wrapping_sub(on.place).to_le_bytes()),
            Self::Symbol64 => place.copy_from_slice(&on.symbol.to_le_bytes()),
            Self::Base64 => place.copy_from_slice(&on.base.wrapping_add_signed(on.addend).to_le_bytes()),
            Self::Abs32Wrapping => place.copy_from_slice(&(absolute as u32).to_le_bytes()),
            Self::Rel32Wrapping => place.copy_from_slice(&(absolute.wrapping_sub(on.place) as u32).to_le_bytes()),
            Self::Symbol32 => place.copy_from_slice(&(on.symbol as u32).to_le_bytes()),
            Self::Base32 => place.copy_from_slice(&(on.base.wrapping_add_signed(on.addend) as u32).to_le_bytes()),
            Self::Abs32Signed => match i32::try_from(exact_signed(on)) {
                Ok(value) => place.copy_from_slice(&value.to_le_bytes()),
                Err(_) => return Err(Misfit { value: exact_signed(on), bits: 32 }),
            },
            Self::Abs32Unsigned => match u32::try_from(exact(on)) {
                Ok(value) => place.copy_from_slice(&value.to_le_bytes()),
                Err(_) => return Err(Misfit { value: exact(on), bits: 32 }),
            },
            Self::Rel32 | Self::GotRel32 => match i32::try_from(distance(on)) {
                Ok(value) => place.copy_from_slice(&value.to_le_bytes()),
                Err(_) => return Err(Misfit { value: distance(on), bits: 32 }),
            },
            Self::Rel16 => match i16::try_from(distance(on)) {
                Ok(value) => place.copy_from_slice(&value.to_le_bytes()),
                Err(_) => return Err(Misfit { value: distance(on), bits: 16 }),
            },
            Self::Rel8 => match i8::try_from(distance(on)) {
                Ok(value) => place.copy_from_slice(&value.to_le_bytes()),
                Err(_) => return Err(Misfit { value: distance(on), bits: 8 }),
            },
            Self::Abs16 => match exact_signed(on) {
                value @ -0x8000..=0xffff => place.copy_from_slice(&(value as u16).to_le_bytes()),
                value => return Err(Misfit { value, bits: 16 }),
            },
            Self::Abs8 => match exact_signed(on) {
                value @ -0x80..=0xff => place.copy_from_slice(&(value as u8).to_le_bytes()),
                value => return Err(Misfit { value, bits: 8 }),
            },
        }
        Ok(())
    }
}

/// S + A with S as an unsigned address.
fn exact(on: Operands) -> i128 {
    i128::from(on.symbol) + i128::from(on.addend)
}

/// S + A with S as a sign-extended address, as the negative 2 GiB are.
fn exact_signed(on: Operands) -> i128 {
    i128::from(on.symbol as i64) + i128::from(on.addend)
}

/// S + A - P.
fn distance(on: Operands) -> i128 {
    exact_signed(on) - i128::from(on.place as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(kind: Kind, symbol: u64, addend: i64, place: u64) -> Result<u64, Misfit> {
        let mut bytes = [0; 8];
        kind.apply(&mut bytes[..kind.len()], Operands { symbol, addend, place, base: 0x4000 })?;
        Ok(u64::from_le_bytes(bytes))
    }

    #[test]
    fn statement_067_forms() {
        assert_eq!(store(Kind::Abs64, 0x1000, 4, 0), Ok(0x1004));
        assert_eq!(store(Kind::Rel32, 0x1000, -4, 0x0f00), Ok(0xfc));
        assert_eq!(store(Kind::Abs32Unsigned, 0x1000, 4, 0), Ok(0x1004));
        assert_eq!(store(Kind::Abs32Signed, 0x1000, 4, 0), Ok(0x1004));
        assert_eq!(store(Kind::Base64, 0, 8, 0), Ok(0x4008));
    }

    #[test]
    fn statement_069_range() {
        assert_eq!(store(Kind::Abs32Signed, 0x7fff_ffff, 0, 0), Ok(0x7fff_ffff));
        assert_eq!(store(Kind::Abs32Signed, 0x7fff_ffff, 1, 0), Err(Misfit { value: 0x8000_0000, bits: 32 }));
        assert_eq!(store(Kind::Abs32Signed, u64::MAX, 0, 0), Ok(0xffff_ffff));
        assert_eq!(store(Kind::Abs32Unsigned, 0xffff_ffff, 0, 0), Ok(0xffff_ffff));
        assert_eq!(store(Kind::Abs32Unsigned, 0xffff_ffff, 1, 0), Err(Misfit { value: 0x1_0000_0000, bits: 32 }));
        assert_eq!(store(Kind::Abs32Unsigned, 0, -1, 0), Err(Misfit { value: -1, bits: 32 }));
        assert_eq!(store(Kind::Rel32, 0x8000_0000, 0, 0), Err(Misfit { value: 0x8000_0000, bits: 32 }));
        assert_eq!(store(Kind::Rel32, 0, 0, 0x8000_0000), Ok(0x8000_0000));
        assert_eq!(store(Kind::Rel32, 0, -1, 0x8000_0000), Err(Misfit { value: -0x8000_0001, bits: 32 }));
        assert_eq!(store(Kind::Abs16, 0x1_0000, 0, 0), Err(Misfit { value: 0x1_0000, bits: 16 }));
        assert_eq!(store(Kind::Rel8, 0x80, 0, 0), Err(Misfit { value: 0x80, bits: 8 }));
    }

    #[test]
    fn statement_071_addend_in_place() {
        assert_eq!(Kind::Rel32Wrapping.addend_in_place(&(-4i32).to_le_bytes()), -4);
        assert_eq!(store(Kind::Rel32Wrapping, 0x10, -4, 0xffff_fff0), Ok(0x1c));
    }
}
