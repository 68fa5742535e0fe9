//! Mount arguments: the C structure that a file-system type expects, filled in by field name.

use crate::abi::{Abi, Field};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The arguments of one mount: bytes of the type's structure, with the values that work unless told otherwise.
#[derive(Clone, Debug)]
pub struct MountArguments {
    fields: Fields,
    flags: Flags,
    pointer: Option<Field>,
    bytes: Vec<u8>,
    wide: usize,
    /// The type has no table.
    plain: bool,
    /// The type shows files of the directory it is mounted on.
    shows_covered: bool,
}

type Fields = Vec<(&'static str, Field)>;
/// Names and the numbers they stand for.
type Flags = &'static [(&'static str, u64)];

/// An argument that the type does not have, or that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The kernel has no table for the type's arguments.
    UnknownType,
    /// The type has no such field.
    UnknownField,
    /// The type has no such flag.
    UnknownFlag,
    /// The value does not fit into the field.
    TooLarge,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType => "no table of mount arguments for this type",
            Self::UnknownField => "the type's mount arguments have no such field",
            Self::UnknownFlag => "the type has no such flag",
            Self::TooLarge => "the value does not fit into the field",
        })
    }
}

impl core::error::Error for ArgumentError {}

const ISO_FLAGS: &[(&str, u64)] =
    &[("norrip", 1), ("gens", 2), ("extatt", 4), ("nojoliet", 8), ("nocasetrans", 16), ("rrcaseins", 32)];
const MSDOS_FLAGS: &[(&str, u64)] = &[("shortname", 1), ("longname", 2), ("nowin95", 4), ("gemdosfs", 8), ("utf8", 32)];
const NTFS_FLAGS: &[(&str, u64)] = &[("caseins", 1), ("allnames", 2)];
/// The target's files hide those of the directory it is mounted on; 2 is the other way round, 3 shows only the target's.
const UNION_ABOVE: u64 = 1;
const FILECORE_FLAGS: &[(&str, u64)] = &[("ownaccess", 1), ("allaccess", 2), ("ownread", 4), ("useuid", 8), ("filetype", 16)];

/// Fields of a layout that the version has.
macro_rules! fields {
    ($layout:expr; $($field:ident),*) => {
        [$((stringify!($field), $layout.$field),)*].into_iter().filter(|(_, field)| field.is_present()).collect::<Vec<_>>()
    };
}

impl MountArguments {
    /// The arguments of type `kind`, `cd9660` say, with defaults: everything readable, no flags.
    ///
    /// # Errors
    /// [`ArgumentError::UnknownType`].
    pub fn new(abi: &Abi, kind: &str) -> Result<Self, ArgumentError> {
        let none: Flags = &[];
        let (size, pointer, fields, flags, defaults): (usize, Field, Fields, Flags, Flags) = match kind {
            "cd9660" => {
                let layout = &abi.iso_args;
                (layout.size, layout.fspec, fields!(layout; flags, uid, gid, fmask, dmask), ISO_FLAGS, &[])
            }
            "msdos" => {
                let layout = &abi.msdosfs_args;
                let fields = fields!(layout; uid, gid, mask, flags, version, dirmask, gmtoff);
                (layout.size, layout.fspec, fields, MSDOS_FLAGS, &[("version", 3), ("mask", 0o777), ("dirmask", 0o777)])
            }
            "ffs" | "ufs" | "ext2fs" => (abi.ufs_args.size, abi.ufs_args.fspec, Vec::new(), none, &[]),
            "hfs" => (abi.hfs_args.size, abi.hfs_args.fspec, Vec::new(), none, &[]),
            "sysvbfs" => (abi.sysvbfs_args.size, abi.sysvbfs_args.fspec, Vec::new(), none, &[]),
            "udf" => {
                let layout = &abi.udf_args;
                let fields = fields!(layout; version, sessionnr, udfmflags, gmtoff, anon_uid, anon_gid, nobody_uid, nobody_gid,
                    sector_size);
                (layout.size, layout.fspec, fields, none, &[("version", 1)])
            }
            "ntfs" => {
                let layout = &abi.ntfs_args;
                (layout.size, layout.fspec, fields!(layout; uid, gid, mode, flag), NTFS_FLAGS, &[("mode", 0o777)])
            }
            "adosfs" => {
                let layout = &abi.adosfs_args;
                (layout.size, layout.fspec, fields!(layout; uid, gid, mask), none, &[("mask", 0o777)])
            }
            "filecore" => {
                let layout = &abi.filecore_args;
                (layout.size, layout.fspec, fields!(layout; uid, gid, flags), FILECORE_FLAGS, &[])
            }
            "efs" => (abi.efs_args.size, abi.efs_args.fspec, fields!(abi.efs_args; version), none, &[]),
            "v7fs" => (abi.v7fs_args.size, abi.v7fs_args.fspec, fields!(abi.v7fs_args; endian), none, &[("endian", 1234)]),
            "tmpfs" => {
                let layout = &abi.tmpfs_args;
                let fields = fields!(layout; ta_version, ta_nodes_max, ta_size_max, ta_root_uid, ta_root_gid, ta_root_mode);
                (layout.size, Field::ABSENT, fields, none, &[("ta_version", 1), ("ta_root_mode", 0o755)])
            }
            "nilfs" => {
                let layout = &abi.nilfs_args;
                (layout.size, layout.fspec, fields!(layout; version, nilfsmflags, gmtoff, cpno), none, &[("version", 1)])
            }
            // Overlay has the arguments of null, and shows the target only as a name; umap's tables of users and groups stay empty.
            "null" | "overlay" => (abi.null_args.size, abi.layer_args.target, Vec::new(), none, &[]),
            "umap" => (abi.umap_args.size, abi.layer_args.target, Vec::new(), none, &[]),
            "union" => {
                let layout = &abi.union_args;
                (layout.size, layout.target, fields!(layout; mntflags), none, &[("mntflags", UNION_ABOVE)])
            }
            _ => return Err(ArgumentError::UnknownType),
        };
        let pointer = Some(pointer).filter(|field| field.is_present());
        let shows_covered = matches!(kind, "overlay" | "union");
        let mut arguments =
            Self { fields, flags, pointer, bytes: vec![0; size], wide: abi.pointer(), plain: false, shows_covered };
        for (name, value) in defaults {
            arguments.set(name, *value)?;
        }
        Ok(arguments)
    }

    /// The arguments of a type without a table: as many zero bytes as the type asks for at least, of which the first are the
    /// pointer to a path, if the mount names one.
    #[must_use]
    pub fn plain(abi: &Abi) -> Self {
        let wide = abi.pointer();
        let pointer = Some(abi.ufs_args.fspec);
        Self { fields: Vec::new(), flags: &[], pointer, bytes: vec![0; wide], wide, plain: true, shows_covered: false }
    }

    /// Sets a field of the structure by its name; tmpfs' names may leave `ta_` out.
    ///
    /// # Errors
    /// [`ArgumentError::UnknownField`], [`ArgumentError::TooLarge`].
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), ArgumentError> {
        let named = |field: &str| field == name || field.strip_prefix("ta_").is_some_and(|rest| rest == name);
        let field = self.fields.iter().find(|(field, _)| named(field)).ok_or(ArgumentError::UnknownField)?.1;
        let size = field.size().min(8);
        if size < 8 && value >> (size * 8) != 0 {
            return Err(ArgumentError::TooLarge);
        }
        self.bytes[field.offset()..field.offset() + size].copy_from_slice(&value.to_le_bytes()[..size]);
        Ok(())
    }

    /// Sets a bit of the type's flags by the name that mount programs give it: `norrip`, `utf8`, ...
    ///
    /// # Errors
    /// [`ArgumentError::UnknownFlag`].
    pub fn set_flag(&mut self, name: &str) -> Result<(), ArgumentError> {
        let bit = self.flags.iter().find(|(flag, _)| *flag == name).ok_or(ArgumentError::UnknownFlag)?.1;
        let field = self.fields.iter().find(|(field, _)| matches!(*field, "flags" | "flag")).ok_or(ArgumentError::UnknownFlag)?.1;
        let low = &mut self.bytes[field.offset()..field.offset() + 4];
        for (byte, set) in low.iter_mut().zip((bit as u32).to_le_bytes()) {
            *byte |= set;
        }
        Ok(())
    }

    /// Names of the fields that can be set.
    pub fn field_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.fields.iter().map(|(name, _)| *name)
    }

    /// Names of the flags that can be set.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.flags.iter().map(|(name, _)| *name)
    }

    /// Whether the type cannot do without a path: of its device, or of the directory below.
    #[must_use]
    pub fn wants_path(&self) -> bool {
        self.pointer.is_some() && !self.plain
    }

    /// Whether the type can have a path.
    #[must_use]
    pub fn takes_path(&self) -> bool {
        self.pointer.is_some()
    }

    /// Whether the type shows files of the directory it is mounted on, and so may cover what is mounted there.
    pub(crate) fn shows_covered(&self) -> bool {
        self.shows_covered
    }

    /// Bytes to hand over to a type that asks for at least `least`.
    pub(crate) fn length(&self, least: usize) -> usize {
        if self.plain { self.bytes.len().max(least) } else { self.bytes.len() }
    }

    /// The bytes of the structure, path pointer unset.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the path pointer goes, and its size.
    pub(crate) fn pointer(&self) -> Option<(usize, usize)> {
        self.pointer.map(|field| (field.offset(), self.wide))
    }
}

#[cfg(test)]
mod tests {
    use super::{ArgumentError, MountArguments};
    use crate::abi::Abi;

    #[test]
    fn fields_lie_where_the_layout_says() {
        let mut arguments = MountArguments::new(Abi::netbsd_7_99_34_amd64(), "msdos").unwrap();
        arguments.set("uid", 0x0102_0304).unwrap();
        arguments.set_flag("utf8").unwrap();
        let bytes = arguments.bytes();
        assert_eq!(bytes.len(), 168);
        assert_eq!(bytes[136..140], [4, 3, 2, 1]);
        assert_eq!(bytes[144..148], 0o777u32.to_le_bytes());
        assert_eq!(bytes[148], 32);
        assert_eq!(bytes[152], 3);
        assert_eq!(arguments.pointer(), Some((0, 8)));
    }

    #[test]
    fn what_the_type_lacks_is_refused() {
        let abi = Abi::netbsd_7_99_34_i386();
        assert_eq!(MountArguments::new(abi, "nosuchfs").err(), Some(ArgumentError::UnknownType));
        let mut arguments = MountArguments::new(abi, "cd9660").unwrap();
        assert_eq!(arguments.set("mask", 1), Err(ArgumentError::UnknownField));
        assert_eq!(arguments.set("flags", 1 << 32), Err(ArgumentError::TooLarge));
        assert_eq!(arguments.set_flag("utf8"), Err(ArgumentError::UnknownFlag));
        assert!(!MountArguments::new(abi, "tmpfs").unwrap().wants_path());
    }

    #[test]
    fn layered_types_have_the_sizes_of_their_structures() {
        let of = |abi, kind| {
            let arguments = MountArguments::new(abi, kind).unwrap();
            (arguments.bytes().len(), arguments.pointer(), arguments.shows_covered())
        };
        for (kind, wide, narrow, shows) in
            [("null", 136, 112, false), ("overlay", 136, 112, true), ("umap", 160, 128, false), ("union", 16, 8, true)]
        {
            assert_eq!(of(Abi::netbsd_7_99_34_amd64(), kind), (wide, Some((0, 8)), shows), "{kind}");
            assert_eq!(of(Abi::netbsd_7_99_34_i386(), kind), (narrow, Some((0, 4)), shows), "{kind}");
        }
        assert_eq!(MountArguments::new(Abi::netbsd_10_amd64(), "union").unwrap().bytes()[8], 1);
    }
}
