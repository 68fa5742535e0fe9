//! The `modinfo` record of a NetBSD module (`module(9)`, `sys/module.h`), found through the link set `modules`.
//!
//! The link-set entry and the record's pointers are zero or addends in the file; the relocations that will fill them are
//! followed instead, so that nothing has to be linked first.

use crate::error::LinkError;
use crate::image::{Image, Place, Relocation, Section, Treatment, string};

/// Section with one pointer to the record.
const LINK_SET: &str = "link_set_modules";

/// A place in the module: a section and an offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Index of the section.
    pub section: u32,
    /// Bytes from its start.
    pub offset: u64,
}

/// What a NetBSD module says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Modinfo<'a> {
    /// `mi_version`: the `__NetBSD_Version__` the module was built for.
    pub version: u32,
    /// `mi_class`, as stored.
    pub class: u32,
    /// `mi_name`.
    pub name: &'a str,
    /// `mi_required`: a comma list, if there is one.
    pub required: Option<&'a str>,
    /// `mi_modcmd`: where the control routine is.
    pub modcmd: Location,
}

impl<'a> Modinfo<'a> {
    /// Reads the record.
    ///
    /// # Errors
    /// [`LinkError::NoMetadata`] without a link set, [`LinkError::BadMetadata`] for one that does not lead to exactly one whole
    /// record inside the module.
    pub fn read(image: &Image<'a>) -> Result<Self, LinkError> {
        let bad = |why| LinkError::BadMetadata { why };
        let set = image.section_named(LINK_SET).ok_or(LinkError::NoMetadata)?;
        let word = image.encoding().word_len() as u64;
        if set.size() != word {
            return Err(bad("link_set_modules does not hold exactly one entry"));
        }
        let record = pointer(image, set, 0)?.ok_or(bad("the link-set entry is not relocated"))?;
        let section = image.section(record.section);
        let contents = image.contents(section);
        let len = 8 + 3 * word;
        let start = usize::try_from(record.offset).map_err(|_| bad("the record lies outside its section"))?;
        let end = start.checked_add(len as usize).filter(|&end| end <= contents.len());
        if end.is_none() {
            return Err(bad("the record lies outside its section"));
        }
        let encoding = image.encoding();
        let field = |index: u64| pointer(image, section, record.offset + 8 + index * word);
        let text = |location: Option<Location>, why| match location {
            Some(at) => string_at(image, at).map(Some).ok_or(bad(why)),
            None => Ok(None),
        };
        let modcmd = field(0)?.ok_or(bad("no control routine"))?;
        let code = image.section(modcmd.section);
        if code.treatment() != Treatment::Text || modcmd.offset >= code.size() {
            return Err(bad("the control routine is not in executable code"));
        }
        Ok(Self {
            version: encoding.u32(contents, start),
            class: encoding.u32(contents, start + 4),
            modcmd,
            name: text(field(1)?, "mi_name is not a string of the module")?.ok_or(bad("no name"))?,
            required: text(field(2)?, "mi_required is not a string of the module")?,
        })
    }

    /// Names of the required modules, as NetBSD reads the list: one leading comma is skipped, an empty element ends it.
    pub fn requirements(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.required.unwrap_or("");
        let list = list.strip_prefix(',').unwrap_or(list);
        list.split(',').take_while(|name| !name.is_empty())
    }
}

/// Where the pointer at `offset` of `section` will point, by the relocation that fills it; `None` if none does and it is zero.
fn pointer(image: &Image<'_>, section: Section, offset: u64) -> Result<Option<Location>, LinkError> {
    let bad = |why| Err(LinkError::BadMetadata { why });
    let mut found = None;
    for table in image.sections() {
        let Some(records) = image.relocations(table)? else { continue };
        if records.target != section.index() {
            continue;
        }
        for record in records.iter().filter(|record| record.offset == offset) {
            if found.replace(follow(image, section, record)?).is_some() {
                return bad("two relocations for one pointer");
            }
        }
    }
    let stored = stored_pointer(image, section, offset);
    match (found, stored) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(0)) => Ok(None),
        (None, _) => bad("a pointer is neither relocated nor null"),
    }
}

fn stored_pointer(image: &Image<'_>, section: Section, offset: u64) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    let bytes = image.contents(section).get(start..start.checked_add(image.encoding().word_len())?)?;
    Some(image.encoding().word(bytes, 0))
}

fn follow(image: &Image<'_>, section: Section, record: Relocation) -> Result<Location, LinkError> {
    let bad = |why| LinkError::BadMetadata { why };
    let absolute = image.machine().classify(record.kind).is_some_and(|kind| kind.is_pointer(image.machine().pointer_len()));
    if !absolute {
        return Err(bad("a pointer is relocated by something else than an address"));
    }
    if record.symbol >= image.symbol_count() {
        return Err(bad("a pointer's relocation has no symbol"));
    }
    let symbol = image.symbol(record.symbol);
    let Place::Section(target) = symbol.place else {
        return Err(bad("a pointer leads out of the module"));
    };
    let addend = match record.addend {
        Some(addend) => addend,
        None => stored_pointer(image, section, record.offset).ok_or(bad("a relocated pointer lies outside its section"))? as i64,
    };
    let offset = symbol.value.checked_add_signed(addend).ok_or(bad("a pointer leads out of the module"))?;
    if offset >= image.section(target).size() {
        return Err(bad("a pointer leads out of its section"));
    }
    Ok(Location { section: target, offset })
}

fn string_at<'a>(image: &Image<'a>, at: Location) -> Option<&'a str> {
    string(image.contents(image.section(at.section)).get(usize::try_from(at.offset).ok()?..)?)
}
