//! NetBSD's error numbers, as modules return and expect them.

#![expect(dead_code, reason = "a complete list is easier to check than one that follows its uses")]

macro_rules! errnos {
    ($($name:ident = $value:literal;)*) => { $(pub(crate) const $name: i32 = $value;)* };
}

errnos! {
    EPERM = 1; ENOENT = 2; ESRCH = 3; EINTR = 4; EIO = 5; ENXIO = 6; E2BIG = 7; ENOEXEC = 8; EBADF = 9; ECHILD = 10;
    EDEADLK = 11; ENOMEM = 12; EACCES = 13; EFAULT = 14; ENOTBLK = 15; EBUSY = 16; EEXIST = 17; EXDEV = 18; ENODEV = 19;
    ENOTDIR = 20; EISDIR = 21; EINVAL = 22; ENFILE = 23; EMFILE = 24; ENOTTY = 25; ETXTBSY = 26; EFBIG = 27; ENOSPC = 28;
    ESPIPE = 29; EROFS = 30; EMLINK = 31; EPIPE = 32; EDOM = 33; ERANGE = 34; EAGAIN = 35; EWOULDBLOCK = 35;
    EOPNOTSUPP = 45; ETIMEDOUT = 60; ELOOP = 62; ENAMETOOLONG = 63; ENOTEMPTY = 66; EDQUOT = 69; ESTALE = 70; ENOLCK = 77;
    ENOSYS = 78; EFTYPE = 79; EILSEQ = 85; ENOTSUP = 86; ENOATTR = 93;
}

/// An open made a descriptor of its own.
pub(crate) const EMOVEFD: i32 = -6;
/// Restart the operation from its beginning.
pub(crate) const ERESTART: i32 = -3;
/// Not understood here: ask the next layer.
pub(crate) const EPASSTHROUGH: i32 = -4;
/// A lookup found the place for a new name.
pub(crate) const EJUSTRETURN: i32 = -2;
