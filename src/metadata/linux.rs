//! What a Linux module says of itself: `.modinfo`, `__versions`, export tables, `.gnu.linkonce.this_module`, signature.
//!
//! Everything is read from the file. Where the kernel's structures would have to be known (`struct module`,
//! `struct kernel_symbol`), relocations are followed instead: they name the fields that matter, whatever the layout is.

use crate::address::SectionIndex;
use crate::error::{LinkError, Place, Problem};
use crate::image::{Definition, Image, Relocation, Section};
use core::ffi::CStr;
use core::iter::Peekable;

/// The section with `struct module`.
pub(crate) const THIS_MODULE: &str = ".gnu.linkonce.this_module";
/// The section with `key=value` strings.
const MODINFO: &str = ".modinfo";
/// The section with the checksums of what the module imports.
const VERSIONS: &str = "__versions";
/// Bytes of a record in it: checksum as a long, then the name.
const VERSION_SIZE: usize = 64;
/// What ends a signed file.
const SIGNATURE_MARK: &[u8] = b"~Module signature appended~\n";
/// Bytes of the record before the mark.
const SIGNATURE_SIZE: usize = 12;
/// The only kind of signature in use: PKCS#7.
const SIGNATURE_PKCS7: u8 = 2;

/// A byte of the file: section and offset.
pub type Spot = (SectionIndex, u64);

/// The `key=value` strings of a module.
#[derive(Clone, Copy, Debug)]
pub struct Modinfo<'a> {
    bytes: &'a [u8],
    name: &'a str,
}

impl<'a> Modinfo<'a> {
    /// Reads the strings of `image`.
    ///
    /// # Errors
    /// [`Malformed`](LinkError::Malformed) if there are none, the last one has no end, or none tells the name.
    pub fn read(image: &Image<'a>) -> Result<Self, LinkError> {
        let missing = || LinkError::malformed(Place::FILE, Problem::NoSection(MODINFO));
        let section = image.section_by_name(MODINFO).ok_or_else(missing)?;
        let mut info = Self { bytes: section.data(), name: "" };
        if info.bytes.last().is_some_and(|&byte| byte != 0) {
            return Err(LinkError::malformed(section.place(), Problem::Unterminated));
        }
        let named = |name: &&str| !name.is_empty() && !name.contains(['/', ',', ' ']) && name.len() < 56;
        let name = info.get("name").filter(named);
        info.name = name.ok_or_else(|| LinkError::malformed(section.place(), Problem::String("name")))?;
        Ok(info)
    }

    /// The module's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// All keys and values in file order; what is not text is left out.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.bytes.split(|&byte| byte == 0).filter_map(|entry| core::str::from_utf8(entry).ok()?.split_once('='))
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// All values of `key`.
    pub fn all<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        self.bytes.split(|&byte| byte == 0).filter_map(move |entry| {
            let value = entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
            core::str::from_utf8(value).ok()
        })
    }

    /// The modules whose symbols it uses, as its builder computed them.
    pub fn depends(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all("depends").flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// What has to be the same in module and kernel: release and build options.
    pub fn vermagic(&self) -> Option<&'a str> {
        self.get("vermagic")
    }

    /// Whether its license lets it use symbols that are exported to GPL modules only.
    pub fn is_gpl(&self) -> bool {
        const COMPATIBLE: [&str; 6] =
            ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
        self.get("license").is_some_and(|license| COMPATIBLE.contains(&license))
    }

    /// Patterns of what it serves.
    pub fn aliases(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all("alias")
    }

    /// Modules to load before and after it where they exist; each list names modules or aliases.
    pub fn soft_dependencies(&self) -> impl Iterator<Item = SoftDependency<'a>> + use<'a> {
        self.all("softdep").flat_map(soft_dependencies)
    }

    /// Namespaces of exports that it asks for.
    pub fn imported_namespaces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all("import_ns")
    }

    /// Its parameters: name, type (empty if not said), description (likewise).
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> + use<'a> {
        let info = *self;
        let typed = info.all("parmtype").filter_map(|entry| entry.split_once(':'));
        typed.map(move |(name, kind)| {
            let mut described = info.all("parm").filter_map(|entry| entry.split_once(':'));
            let text = described.find(|(other, _)| *other == name).map_or("", |(_, text)| text);
            (name, kind, text)
        })
    }
}

/// A module wanted before or after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftDependency<'a> {
    /// Name or alias.
    pub name: &'a str,
    /// True if it is loaded before, false after.
    pub before: bool,
}

/// The entries of `pre: a b post: c`.
pub fn soft_dependencies(text: &str) -> impl Iterator<Item = SoftDependency<'_>> {
    let mut before = None;
    text.split_ascii_whitespace().filter_map(move |word| match word {
        "pre:" => {
            before = Some(true);
            None
        }
        "post:" => {
            before = Some(false);
            None
        }
        name => before.map(|before| SoftDependency { name, before }),
    })
}

/// Where a module starts and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThisModule {
    /// `int init_module(void)`, if it has one.
    pub init: Option<Spot>,
    /// `void cleanup_module(void)`, if it has one: without it the module cannot be unloaded.
    pub exit: Option<Spot>,
}

impl ThisModule {
    /// Finds both by the relocations that fill `struct module`.
    ///
    /// # Errors
    /// [`Malformed`](LinkError::Malformed) if the section is missing or a routine is not a function of the module.
    pub fn read(image: &Image<'_>) -> Result<Self, LinkError> {
        let missing = || LinkError::malformed(Place::FILE, Problem::NoSection(THIS_MODULE));
        let section = image.section_by_name(THIS_MODULE).ok_or_else(missing)?;
        let mut found = Self::default();
        for relocation in relocations_of(image, &section) {
            let Some(symbol) = image.symbol(relocation.symbol) else { continue };
            let (field, slot) = match symbol.name {
                "init_module" => ("init_module", &mut found.init),
                "cleanup_module" => ("cleanup_module", &mut found.exit),
                _ => continue,
            };
            let place = || section.place().at(relocation.offset);
            let Definition::Section(home) = symbol.definition else {
                return Err(LinkError::malformed(place(), Problem::PointerTarget(field)));
            };
            let code = image.section(home).is_some_and(|home| home.is_executable() && symbol.value < home.size());
            if !code {
                return Err(LinkError::malformed(place(), Problem::PointerTarget(field)));
            }
            if slot.replace((home, symbol.value)).is_some() {
                return Err(LinkError::malformed(place(), Problem::Pointer(field)));
            }
        }
        Ok(found)
    }
}

/// The relocations that apply to `section`.
fn relocations_of<'a>(image: &Image<'a>, section: &Section<'a>) -> impl Iterator<Item = Relocation> + use<'a> {
    let index = section.index();
    image.sections().filter(move |other| other.relocates() == Some(index)).flat_map(|other| other.relocations())
}

/// A symbol that a module imports, and the checksum of its type as the module was built against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// Its name.
    pub name: &'a str,
    /// The checksum.
    pub crc: u32,
}

/// The checksums in `__versions`; none if the module was built without them.
///
/// # Errors
/// [`Malformed`](LinkError::Malformed) for a table that is not made of whole records with terminated names.
pub fn versions<'a>(image: &Image<'a>) -> Result<impl Iterator<Item = Version<'a>> + use<'a>, LinkError> {
    let (wide, order) = (image.format().wide, image.format().order);
    let section = image.section_by_name(VERSIONS);
    let bytes = section.map_or(&[][..], |section| section.data());
    if let Some(section) = section {
        let (size, entry) = (bytes.len() as u64, VERSION_SIZE as u64);
        if size % entry != 0 {
            return Err(LinkError::malformed(section.place(), Problem::TableSize { size, entry }));
        }
        let bad = bytes.chunks_exact(VERSION_SIZE).position(|record| version_name(record, wide).is_none());
        if let Some(index) = bad {
            return Err(LinkError::malformed(section.place().entry(index as u32), Problem::String("name")));
        }
    }
    Ok(bytes.chunks_exact(VERSION_SIZE).filter_map(move |record| {
        let crc = order.word(wide, record, 0) as u32;
        Some(Version { name: version_name(record, wide)?, crc })
    }))
}

fn version_name(record: &[u8], wide: bool) -> Option<&str> {
    let name = record.get(if wide { 8 } else { 4 }..)?;
    CStr::from_bytes_until_nul(name).ok()?.to_str().ok()
}

/// A symbol that a module exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is.
    pub spot: Spot,
    /// True if only GPL modules may use it.
    pub gpl: bool,
    /// The namespace that users have to import; empty for none.
    pub namespace: &'a str,
    /// The checksum of its type, if the module was built with them.
    pub crc: Option<u32>,
    /// True if it is code.
    pub is_function: bool,
}

/// Calls `each` with every symbol that `image` exports, in table order.
///
/// # Errors
/// [`Malformed`](LinkError::Malformed) for an entry whose pointers are not filled by relocations of their own, in order, that
/// lead into the module.
pub fn exports<'a>(image: &Image<'a>, mut each: impl FnMut(Export<'a>)) -> Result<(), LinkError> {
    for section in image.sections() {
        let (gpl, checksums) = match section.name() {
            "__ksymtab" => (false, "__kcrctab"),
            "__ksymtab_gpl" => (true, "__kcrctab_gpl"),
            _ => continue,
        };
        if section.is_loadable() {
            table(image, &section, gpl, image.section_by_name(checksums), &mut each)?;
        }
    }
    Ok(())
}

/// Reads one export table. An entry is three numbers: value, name, namespace; either distances of 32 bits or pointers.
fn table<'a>(
    image: &Image<'a>,
    section: &Section<'a>,
    gpl: bool,
    checksums: Option<Section<'a>>,
    each: &mut impl FnMut(Export<'a>),
) -> Result<(), LinkError> {
    let mut relocations = relocations_of(image, section).filter(|relocation| relocation.kind != 0).peekable();
    let pointer = image.format().pointer_size();
    let field = match relocations.peek() {
        Some(first) if image.machine().kind(first.kind).is_pointer(image.format().wide) => pointer,
        _ => 4,
    };
    let (size, entry) = (section.size(), 3 * field);
    if size % entry != 0 {
        return Err(LinkError::malformed(section.place(), Problem::TableSize { size, entry }));
    }
    let mut checksums = checksums.map(|section| (section, relocations_of(image, &section).peekable()));
    for index in 0..size / entry {
        let place = |number: u64| section.place().entry(index as u32).at(index * entry + number * field);
        let mut next = |number: u64, what| {
            let at = index * entry + number * field;
            relocations
                .next_if(|relocation| relocation.offset == at)
                .and_then(|relocation| follow(image, section, &relocation, field))
                .ok_or_else(|| LinkError::malformed(place(number), Problem::Pointer(what)))
        };
        let spot = next(0, "value")?;
        let name = next(1, "name")?;
        // An export without a namespace may leave the pointer empty.
        let namespace = next(2, "namespace").ok();
        let text = |spot: Spot, number, what| {
            text(image, spot).ok_or_else(|| LinkError::malformed(place(number), Problem::String(what)))
        };
        each(Export {
            name: text(name, 1, "name").and_then(|name| match name {
                "" => Err(LinkError::malformed(place(1), Problem::String("name"))),
                name => Ok(name),
            })?,
            spot,
            gpl,
            namespace: namespace.map_or(Ok(""), |spot| text(spot, 2, "namespace"))?,
            crc: checksums.as_mut().and_then(|(section, symbols)| checksum(image, section, symbols, index)),
            is_function: image.section(spot.0).is_some_and(|home| home.is_executable()),
        });
    }
    if let Some(rest) = relocations.next() {
        return Err(LinkError::malformed(section.place().at(rest.offset), Problem::Pointer("value")));
    }
    Ok(())
}

/// Where the relocated field leads, if that is a byte of one of the file's sections.
fn follow(image: &Image<'_>, section: &Section<'_>, relocation: &Relocation, field: u64) -> Option<Spot> {
    let symbol = image.symbol(relocation.symbol)?;
    let Definition::Section(home) = symbol.definition else { return None };
    let addend = match relocation.addend {
        Some(addend) => addend,
        None => {
            let bytes = section.data().get(relocation.offset as usize..)?.get(..field as usize)?;
            let order = image.format().order;
            if field == 8 { order.u64(bytes, 0) as i64 } else { i64::from(order.u32(bytes, 0) as i32) }
        }
    };
    let offset = symbol.value.checked_add_signed(addend)?;
    (offset <= image.section(home)?.size()).then_some((home, offset))
}

/// The text at `spot`.
fn text<'a>(image: &Image<'a>, spot: Spot) -> Option<&'a str> {
    let bytes = image.section(spot.0)?.data().get(spot.1 as usize..)?;
    CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()
}

/// Entry `index` of a table of checksums: a number, or in older kernels an absolute symbol that a relocation names.
fn checksum(
    image: &Image<'_>,
    section: &Section<'_>,
    symbols: &mut Peekable<impl Iterator<Item = Relocation>>,
    index: u64,
) -> Option<u32> {
    let at = index.checked_mul(4)?;
    while symbols.next_if(|relocation| relocation.offset < at).is_some() {}
    if let Some(relocation) = symbols.next_if(|relocation| relocation.offset == at) {
        let symbol = image.symbol(relocation.symbol)?;
        return (symbol.definition == Definition::Absolute).then_some(symbol.value as u32);
    }
    let bytes = section.data().get(at as usize..)?.get(..4)?;
    Some(image.format().order.u32(bytes, 0))
}

/// How a file is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature<'a> {
    /// Not at all.
    None,
    /// With an appended PKCS#7 message; whether it is any good only a holder of keys can tell.
    Appended {
        /// What is signed: the module without signature.
        module: &'a [u8],
        /// The message.
        message: &'a [u8],
    },
    /// It has the mark, and what stands before is no signature.
    Broken,
}

/// Looks for a signature at the end of a file.
pub fn signature(bytes: &[u8]) -> Signature<'_> {
    let Some(rest) = bytes.strip_suffix(SIGNATURE_MARK) else { return Signature::None };
    let Some((rest, record)) = rest.split_last_chunk::<SIGNATURE_SIZE>() else { return Signature::Broken };
    let [_, _, kind, ..] = record;
    let unused = record[..2].iter().chain(&record[3..8]).any(|&byte| byte != 0);
    let [.., a, b, c, d] = *record;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    match rest.split_at_checked(rest.len().wrapping_sub(len)) {
        Some((module, message)) if *kind == SIGNATURE_PKCS7 && !unused && len != 0 => Signature::Appended { module, message },
        _ => Signature::Broken,
    }
}

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
