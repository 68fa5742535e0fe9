//! Error numbers as NetBSD counts them (`errno(2)`).

#![allow(missing_docs, reason = "the names are those of errno(2)")]

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const EIO: i32 = 5;
pub const ENOEXEC: i32 = 8;
pub const EDEADLK: i32 = 11;
pub const ENOMEM: i32 = 12;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const ENODEV: i32 = 19;
pub const ENOTDIR: i32 = 20;
pub const EISDIR: i32 = 21;
pub const EINVAL: i32 = 22;
pub const ENOTTY: i32 = 25;
pub const EFBIG: i32 = 27;
pub const EROFS: i32 = 30;
pub const EMLINK: i32 = 31;
pub const EOPNOTSUPP: i32 = 45;
pub const ETIMEDOUT: i32 = 60;
pub const ENAMETOOLONG: i32 = 63;
pub const EPROGMISMATCH: i32 = 75;
