//! The conventions of one kind of stock module, as far as linking depends on them.

use crate::image::Image;

/// Where a module comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// NetBSD `.kmod`.
    #[default]
    NetBsd,
    /// Linux `.ko`; needs the feature `linux`.
    #[cfg(feature = "linux")]
    Linux,
}

/// What becomes of a section that asks to be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "linux"), expect(dead_code, reason = "no sections of NetBSD modules are given back"))]
pub(crate) enum Purpose {
    /// It stays as long as the module.
    Core,
    /// It is given back once the module has started.
    Init,
    /// Only the kernel it was built for, or the loader, would read it: it is loaded only if a loaded section refers to it.
    Kernel,
}

impl Flavour {
    /// The flavour of `image`, by the sections that only modules of the flavour have.
    pub fn of(image: &Image<'_>) -> Option<Self> {
        image.sections().find_map(|section| match section.name() {
            #[cfg(feature = "linux")]
            crate::metadata::linux::THIS_MODULE => Some(Self::Linux),
            crate::metadata::netbsd::LINK_SET => Some(Self::NetBsd),
            _ => None,
        })
    }

    /// Whether a weak reference that nobody satisfies is 0 rather than an error.
    pub(crate) const fn weak_is_zero(self) -> bool {
        !matches!(self, Self::NetBsd)
    }

    /// What becomes of a loadable section called `name`.
    #[inline]
    #[cfg_attr(not(feature = "linux"), expect(unused_variables, reason = "only sections of Linux modules are told apart"))]
    pub(crate) fn purpose(self, name: &str) -> Purpose {
        match self {
            Self::NetBsd => Purpose::Core,
            #[cfg(feature = "linux")]
            Self::Linux => linux(name.as_bytes()),
        }
    }
}

/// Each decision has its reason in `docs/linux.md`.
#[cfg(feature = "linux")]
fn linux(name: &[u8]) -> Purpose {
    match name {
        [b'.', b'i', b'n', b'i', b't', rest @ ..] if rest != b".plt" => Purpose::Init,
        // Read by the loader, from the file.
        b".modinfo" | b"__versions" | b"__version_ext_crcs" | b"__version_ext_names" => Purpose::Kernel,
        b"__ksymtab" | b"__ksymtab_gpl" | b"__ksymtab_strings" | b"__kcrctab" | b"__kcrctab_gpl" => Purpose::Kernel,
        // Unwinding.
        b".orc_unwind" | b".orc_unwind_ip" | b".orc_header" | b".eh_frame" => Purpose::Kernel,
        // Places to patch: the code is right as it stands.
        b"__mcount_loc" | b"__patchable_function_entries" | b".return_sites" | b".retpoline_sites" => Purpose::Kernel,
        b".call_sites" | b".cfi_sites" | b".ibt_endbr_seal" | b".smp_locks" | b".parainstructions" => Purpose::Kernel,
        b".altinstructions" | b".altinstr_replacement" | b".static_call_sites" | b"__jump_table" => Purpose::Kernel,
        b".alt.smp.init" | b".pv_table" | b"__ftr_fixup" | b"__mmu_ftr_fixup" | b"__fw_ftr_fixup" => Purpose::Kernel,
        b"__lwsync_fixup" | b"__barrier_nospec_fixup" | b"__rfi_flush_fixup" | b"__btb_flush_fixup" => Purpose::Kernel,
        // Tracing, debugging and recovery from faults, by the kernel's own machinery.
        b"__tracepoints_ptrs" | b"_ftrace_events" | b"_ftrace_eval_map" | b"__bpf_raw_tp_map" => Purpose::Kernel,
        b"__ex_table" | b".BTF_ids" | b"__trace_printk_fmt" | b"___srcu_struct_ptrs" => Purpose::Kernel,
        // Empty room for the kernel's own stubs.
        b".plt" | b".init.plt" | b".text.ftrace_trampoline" | b".stubs" | b".ftrace.tramp" => Purpose::Kernel,
        _ if name.starts_with(b"__ftr_alt_") => Purpose::Kernel,
        _ => Purpose::Core,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_sections_are_sorted_by_purpose() {
        for name in [
            ".text",
            ".data",
            ".rodata.str1.1",
            ".gnu.linkonce.this_module",
            "__param",
            "__bug_table",
            ".exit.text",
            ".altinstr_aux",
        ] {
            assert_eq!(Flavour::Linux.purpose(name), Purpose::Core, "{name}");
        }
        for name in [".init.text", ".init.data", ".init.rodata"] {
            assert_eq!(Flavour::Linux.purpose(name), Purpose::Init, "{name}");
            assert_eq!(Flavour::NetBsd.purpose(name), Purpose::Core, "{name}");
        }
        for name in [".orc_unwind", "__versions", ".modinfo", "__mcount_loc", ".init.plt", "__ftr_alt_97"] {
            assert_eq!(Flavour::Linux.purpose(name), Purpose::Kernel, "{name}");
        }
    }
}
