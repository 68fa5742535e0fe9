//! The numbered statements of how NetBSD's module system behaves, as tests: `s041_...` tests statement 41.
//! `docs/conformance.md` lists all statements with their tests, and where this library differs on purpose.
#![cfg(target_arch = "x86_64")]

mod autoload;
mod etfs;
mod lifecycle;
mod modinfo;
mod object;
mod paths;
mod rename;
mod requirements;
#[path = "../support/mod.rs"]
mod support;
mod symbols;
