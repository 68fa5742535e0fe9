//! elf_loader ("Relink"). Two workarounds: release builds of 0.18.0 define no section groups by default, so they are made here;
//! and it does not know R_X86_64_PC64, so modules are given to it with that type rewritten.

use crate::corpus::Symbols;
use crate::memory::Pages;
use elf_loader::image::{ModuleHandle, SyntheticModule, SyntheticSymbol};
use elf_loader::input::ElfBinary;
use elf_loader::memory::{MappedRegion, RegionAccess, VmAddr};
use elf_loader::object::{SectionGroups, SectionLifetime};
use elf_loader::os::{MadviseAdvice, MapFlags, Mmap, ProtFlags};
use elf_loader::{AddressSpaceId, Domain, Loader, Relocator};
use goblin::elf::{Elf, section_header as sh};
use std::ffi::CString;
use std::ptr::NonNull;

/// A copy of `file` with R_X86_64_PC64 written as R_X86_64_64: the same work.
pub fn patched(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let Ok(elf) = Elf::parse(file) else { return bytes };
    for section in elf.section_headers.iter().filter(|section| section.sh_type == sh::SHT_RELA) {
        let start = section.sh_offset as usize;
        for record in bytes[start..start + section.sh_size as usize].chunks_exact_mut(24) {
            if record[8..12] == [24, 0, 0, 0] {
                record[8] = 1;
            }
        }
    }
    bytes
}

struct Mapper;

struct Area(Pages);

impl Area {
    fn at(&self, offset: usize) -> *mut u8 {
        self.0.as_ptr().wrapping_add(offset)
    }
}

fn flags(prot: ProtFlags) -> i32 {
    prot.bits()
}

impl RegionAccess for Area {
    fn addr(&self) -> VmAddr {
        VmAddr::from_ptr(self.0.as_ptr())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    unsafe fn read_bytes(&self, offset: usize, dst: &mut [u8]) -> elf_loader::Result<()> {
        // SAFETY: the caller keeps to the region.
        unsafe { self.at(offset).copy_to_nonoverlapping(dst.as_mut_ptr(), dst.len()) };
        Ok(())
    }

    unsafe fn write_bytes(&self, offset: usize, src: &[u8]) -> elf_loader::Result<()> {
        // SAFETY: the caller keeps to the region.
        unsafe { self.at(offset).copy_from_nonoverlapping(src.as_ptr(), src.len()) };
        Ok(())
    }

    unsafe fn zero_bytes(&self, offset: usize, len: usize) -> elf_loader::Result<()> {
        // SAFETY: the caller keeps to the region.
        unsafe { self.at(offset).write_bytes(0, len) };
        Ok(())
    }

    unsafe fn borrow_bytes(&self, offset: usize, len: usize) -> Option<&'static [u8]> {
        // SAFETY: the caller keeps to the region, and to its lifetime.
        Some(unsafe { std::slice::from_raw_parts(self.at(offset), len) })
    }

    unsafe fn host_ptr(&self, offset: usize) -> Option<NonNull<u8>> {
        NonNull::new(self.at(offset))
    }

    unsafe fn madvise(&self, _: usize, _: usize, _: MadviseAdvice) -> elf_loader::Result<()> {
        Ok(())
    }

    unsafe fn mprotect(&self, offset: usize, len: usize, prot: ProtFlags) -> elf_loader::Result<()> {
        self.0.protect(offset, len, flags(prot));
        Ok(())
    }
}

impl Mmap for Mapper {
    type Region = Area;

    unsafe fn create_space(
        &self,
        _: Option<VmAddr>,
        len: usize,
        _: ProtFlags,
        _: bool,
    ) -> elf_loader::Result<MappedRegion<Area>> {
        Ok(MappedRegion::new(Area(Pages::new(len))))
    }

    unsafe fn alias_space(&self, _: VmAddr, _: usize) -> elf_loader::Result<MappedRegion<Area>> {
        Err(elf_loader::error::MmapError::InvalidMappedRegionRange.into())
    }

    unsafe fn map_file_at(&self, _: VmAddr, _: usize, _: ProtFlags, _: MapFlags, _: usize, _: isize) -> elf_loader::Result<()> {
        Err(elf_loader::error::MmapError::FileMappingUnsupported.into())
    }

    unsafe fn map_zero_at(&self, _: VmAddr, _: usize, _: ProtFlags, _: MapFlags) -> elf_loader::Result<()> {
        Ok(())
    }

    unsafe fn munmap(&self, _: VmAddr, _: usize) -> elf_loader::Result<()> {
        Ok(())
    }

    unsafe fn madvise(&self, _: VmAddr, _: usize, _: MadviseAdvice) -> elf_loader::Result<()> {
        Ok(())
    }

    unsafe fn mprotect(&self, addr: VmAddr, len: usize, prot: ProtFlags) -> elf_loader::Result<()> {
        // Only reached for ranges of live areas, which protect themselves.
        let _ = (addr, len, prot);
        Ok(())
    }
}

fn groups() -> SectionGroups {
    let mut groups = SectionGroups::default();
    if cfg!(debug_assertions) {
        return groups;
    }
    let (read, write, exec) = (ProtFlags::PROT_READ, ProtFlags::PROT_WRITE, ProtFlags::PROT_EXEC);
    let core = [read, read | write, read | exec, read | write | exec];
    for (order, prot) in core.into_iter().enumerate() {
        groups.define(prot, prot, order, SectionLifetime::Core);
    }
    groups.define(read | write, read | write, usize::MAX, SectionLifetime::Init);
    groups
}

/// The names, as the loader wants them, and its parts.
pub struct Peer {
    module: ModuleHandle,
    loader: Loader<(), elf_loader::arch::NativeArch, Mapper>,
    groups: SectionGroups,
}

impl Peer {
    /// A loader that knows `symbols`.
    pub fn new(symbols: &Symbols) -> Self {
        let domain = Domain::<elf_loader::arch::NativeArch>::native(AddressSpaceId::PROCESS);
        let all = symbols.iter().map(|(name, value)| {
            let name = CString::new(name).unwrap_or_default();
            SyntheticSymbol::function(name, value as *const ())
        });
        let module = ModuleHandle::from(SyntheticModule::new(&domain, "kernel", all));
        Self { module, loader: Loader::new().with_mmap(Mapper), groups: groups() }
    }

    /// Loads a module and drops it.
    pub fn load(&self, bytes: &[u8]) -> Result<(), String> {
        let mut run = self.loader.run(Domain::native(AddressSpaceId::PROCESS)).with_object_section_groups(self.groups.clone());
        let raw = run.load_object(ElfBinary::new("module", bytes)).map_err(|error| error.to_string())?;
        let relocator = Relocator::new();
        let linked = relocator.run(raw).with_modules([self.module.clone()]).map_err(|error| error.to_string())?;
        let loaded = linked.relocate().map_err(|error| error.to_string())?;
        std::hint::black_box(&loaded);
        Ok(())
    }
}
