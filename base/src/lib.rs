//! The base kernel: services that stock NetBSD modules import.
#![no_std]
