//! What differs between kernel versions: one file of numbers each.
//!
//! Both files give the same names. They hold for the x86_64 configuration of `tests/qemu/kernel-config.h`: one core, no huge
//! pages, no IOMMU, no virtualisation; those options would renumber object types and invocations.

#[cfg(feature = "sel4-16")]
mod v16_0;
#[cfg(not(feature = "sel4-16"))]
mod v5_0_0;

#[cfg(not(feature = "sel4-16"))]
pub(crate) use v5_0_0::*;
#[cfg(feature = "sel4-16")]
pub(crate) use v16_0::*;

#[cfg(test)]
mod tests {
    /// Both tables compile and agree where the kernels do, whichever is selected.
    #[test]
    fn tables_name_their_kernel() {
        assert!(super::KERNEL.starts_with("seL4 "));
        assert_eq!(super::UNTYPED_RETYPE, 1);
    }
}
