//! Sample modules with single fields spoilt: every mutant ends in a typed error, or is linked as its (spoilt) file says, which an
//! independent relocator confirms. Nothing panics and nothing is stored outside the reservation. The seed is fixed.

#[path = "support/guarded.rs"]
mod guarded;
#[path = "support/independent.rs"]
mod independent;
#[path = "support/random.rs"]
mod random;

use guarded::Guarded;
use independent::{Addresses, PREFIX, check};
use random::Random;
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::metadata::netbsd::Modinfo;
use rumpload::rename::{ExemptRules, Namespace};
use rumpload::resource::{Memory, Placement};
use rumpload_test_modules::{Target, module};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Modules that have everything among them: calls, data, record, weak and common symbols, shared tails.
const SAMPLES: [&str; 8] = ["tarfs", "tarindex", "hello", "polite", "weak_defined", "common", "tails", "chain_2"];
/// Where mutants run.
const RUN: u64 = 0x1000_0000;
/// Random mutants per sample and kind of mutation.
const ROUNDS: usize = 60;

/// A number that is likely to be at the edge of something.
fn edge(random: &mut Random, near: u64) -> u64 {
    match random.below(10) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u64::MAX - 7,
        4 => 1 << random.below(64),
        5 => near.wrapping_add(1),
        6 => near.wrapping_sub(1),
        7 => near.wrapping_add(random.next() % 64),
        8 => near ^ (1 << random.below(32)),
        _ => random.next(),
    }
}

/// Where the parts of a well-formed file are.
struct Map {
    wide: bool,
    /// Offset of the section header table, bytes per header, headers.
    headers: (usize, usize, usize),
    /// Type, offset in the file and bytes of each section.
    sections: Vec<(u32, usize, usize)>,
}

fn word(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut word = [0; 8];
    word[..len].copy_from_slice(&bytes[at..at + len]);
    u64::from_le_bytes(word)
}

fn put(bytes: &mut [u8], at: usize, len: usize, value: u64) {
    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// Offsets and lengths of the fields of the file header.
fn file_fields(wide: bool) -> Vec<(usize, usize)> {
    let mut fields: Vec<(usize, usize)> = (0..16).map(|at| (at, 1)).collect();
    fields.extend([(16, 2), (18, 2), (20, 4)]);
    let word = if wide { 8 } else { 4 };
    fields.extend((0..3).map(|index| (24 + index * word, word)));
    let flags = 24 + 3 * word;
    fields.push((flags, 4));
    fields.extend((0..6).map(|index| (flags + 4 + 2 * index, 2)));
    fields
}

/// Offsets and lengths of the fields of a section header: name, type, flags, address, offset, size, link, info, align, entry size.
fn section_fields(wide: bool) -> [(usize, usize); 10] {
    let w = if wide { 8 } else { 4 };
    let after = 8 + 4 * w;
    [
        (0, 4),
        (4, 4),
        (8, w),
        (8 + w, w),
        (8 + 2 * w, w),
        (8 + 3 * w, w),
        (after, 4),
        (after + 4, 4),
        (after + 8, w),
        (after + 8 + w, w),
    ]
}

/// Bytes of a symbol, and its fields: name, info, other, section, value, size.
fn symbol_fields(wide: bool) -> (usize, [(usize, usize); 6]) {
    if wide {
        (24, [(0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8)])
    } else {
        (16, [(0, 4), (12, 1), (13, 1), (14, 2), (4, 4), (8, 4)])
    }
}

/// Bytes of a relocation, and its fields: offset, type, symbol, addend.
fn relocation_fields(wide: bool) -> (usize, &'static [(usize, usize)]) {
    if wide { (24, &[(0, 8), (8, 4), (12, 4), (16, 8)]) } else { (8, &[(0, 4), (4, 1), (5, 3)]) }
}

impl Map {
    fn of(bytes: &[u8]) -> Self {
        let wide = bytes[4] == 2;
        let (table, size, count) = if wide {
            (word(bytes, 40, 8), word(bytes, 58, 2), word(bytes, 60, 2))
        } else {
            (word(bytes, 32, 4), word(bytes, 46, 2), word(bytes, 48, 2))
        };
        let headers = (table as usize, size as usize, count as usize);
        let fields = section_fields(wide);
        let sections = (0..headers.2).map(|index| {
            let at = headers.0 + index * headers.1;
            let field = |index: usize| word(bytes, at + fields[index].0, fields[index].1);
            (field(1) as u32, field(4) as usize, field(5) as usize)
        });
        Self { wide, headers, sections: sections.collect() }
    }

    /// Sections of a type.
    fn of_type(&self, kinds: &[u32]) -> Vec<(usize, usize)> {
        let of_type = |(kind, at, len): &(u32, usize, usize)| kinds.contains(kind).then_some((*at, *len));
        self.sections.iter().filter_map(of_type).collect()
    }

    /// Spoils one field of one of `tables`, whose records have `size` bytes.
    fn spoil_record(
        &self,
        bytes: &mut [u8],
        tables: &[(usize, usize)],
        (size, fields): (usize, &[(usize, usize)]),
        random: &mut Random,
    ) {
        let (at, len) = tables[random.below(tables.len())];
        let record = at + random.below(len / size) * size;
        let (field, width) = fields[random.below(fields.len())];
        let value = edge(random, word(bytes, record + field, width));
        put(bytes, record + field, width, value);
    }
}

/// One mutation at random.
fn mutate(bytes: &mut Vec<u8>, map: &Map, kind: usize, random: &mut Random) {
    const SYMTAB: u32 = 2;
    const STRTAB: u32 = 3;
    const RELOCATIONS: [u32; 2] = [4, 9];
    let (table, size, count) = map.headers;
    let header = |index: usize| table + index * size;
    let fields = section_fields(map.wide);
    match kind {
        // The file ends early.
        0 => {
            let len = random.below(bytes.len());
            bytes.truncate(len);
        }
        1 => {
            let all = file_fields(map.wide);
            let (at, len) = all[random.below(all.len())];
            let value = edge(random, word(bytes, at, len));
            put(bytes, at, len, value);
        }
        2 => map.spoil_record(bytes, &[(table, size * count)], (size, &fields), random),
        3 => map.spoil_record(bytes, &map.of_type(&RELOCATIONS), relocation_fields(map.wide), random),
        4 => {
            let (size, fields) = symbol_fields(map.wide);
            map.spoil_record(bytes, &map.of_type(&[SYMTAB]), (size, &fields), random);
        }
        // A byte of a string table, often the last.
        5 => {
            let tables = map.of_type(&[STRTAB]);
            let (at, len) = tables[random.below(tables.len())];
            let byte = at + if random.below(4) == 0 { len - 1 } else { random.below(len) };
            bytes[byte] = random.next() as u8;
        }
        // A section lies on another, or on the headers.
        6 => {
            let (section, other) = (random.below(count), random.below(count));
            let value = if random.below(4) == 0 { edge(random, table as u64) } else { map.sections[other].1 as u64 };
            let (at, len) = fields[4];
            put(bytes, header(section) + at, len, value);
            if random.below(2) == 0 {
                let (at, len) = fields[5];
                put(bytes, header(section) + at, len, map.sections[other].2 as u64 + random.below(3) as u64 * 8);
            }
        }
        // The bytes of the module's record and what fills it.
        7 => {
            let (kind, at, len) = map.sections[random.below(count)];
            if kind == 1 && len > 0 {
                bytes[at + random.below(len)] ^= 1 << random.below(8);
            }
        }
        // Two section headers change places.
        8 => {
            let (a, b) = (header(random.below(count)), header(random.below(count)));
            let first = bytes[a..a + size].to_vec();
            bytes.copy_within(b..b + size, a);
            bytes[b..b + size].copy_from_slice(&first);
        }
        // Noise.
        _ => {
            for _ in 0..1 + random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
        }
    }
}

const KINDS: usize = 10;

/// What became of a mutant.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A typed error.
    Refused,
    /// Linked, and every byte is right.
    Right,
    /// Linked, in a way that the independent relocator has no word for.
    Unjudged,
}

/// Reads and links a mutant and judges the result.
fn judge(bytes: &[u8], linker: &mut Linker) -> Result<Outcome, String> {
    let namespace = Namespace::new(PREFIX, ExemptRules::Before2020);
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error) => return told(&error),
    };
    let record = Modinfo::read(&image);
    let guarded = Arc::new(Guarded::new(RUN));
    let memory: Arc<dyn Memory> = guarded.clone();
    let scope = Addresses::new(RUN + 0x2000_0000);
    let linked = match linker.link(&image, &namespace, &scope, &memory, Placement::Within { first: 0x1000, last: 0x7fff_ffff }) {
        Ok(linked) => linked,
        Err(error) => {
            assert_eq!(guarded.live(), 0, "a failed link leaves nothing reserved");
            return told(&error);
        }
    };
    let (run, len) = (linked.reservation.run().get(), linked.reservation.len() as u64);
    let inside = |at: u64, size: u64| at >= run && at.checked_add(size).is_some_and(|end| end <= run + len);
    for section in image.sections() {
        if let Some(at) = linked.address(section.index(), 0) {
            assert!(inside(at.get(), section.size()), "sections lie in the region");
        }
    }
    linked.exports(&image, &namespace).for_each(|export| assert!(!export.raw.is_empty()));
    assert!(linked.functions(&image).all(|function| inside(function.value.get(), 0)));
    if let Ok(record) = &record {
        assert!(inside(linked.modcmd(record).get(), 1), "the control routine lies in the region");
    }
    // Program headers are nobody's business in a relocatable object; goblin reads them all the same.
    let mut judged = bytes.to_vec();
    let fields = if bytes[4] == 2 { [(32, 8), (54, 2), (56, 2)] } else { [(28, 4), (42, 2), (44, 2)] };
    fields.into_iter().for_each(|(at, len)| put(&mut judged, at, len, 0));
    match check(&judged, &linked, &scope, &guarded.bytes()) {
        Ok(_) => record.map_or_else(|error| told(&error), |_| Ok(Outcome::Right)),
        Err(error) if error.contains("is not known here") || error.starts_with("goblin: ") => Ok(Outcome::Unjudged),
        Err(error) => Err(error),
    }
}

/// An error has a text and a number.
fn told(error: &rumpload::error::LinkError) -> Result<Outcome, String> {
    if error.to_string().is_empty() || error.errno() <= 0 { Err(format!("{error:?} says nothing")) } else { Ok(Outcome::Refused) }
}

fn mutants_of(target: &Target) -> [usize; 3] {
    let mut random = Random(0x5eed_0000 ^ u64::from(target.version) ^ target.pointer as u64);
    let mut linker = Linker::new();
    let mut counts = [0; 3];
    for name in SAMPLES {
        let original = module(target, name).unwrap_or_else(|error| panic!("{error}"));
        let map = Map::of(&original);
        assert_eq!(judge(&original, &mut linker), Ok(Outcome::Right), "{name}");
        for kind in 0..KINDS {
            for round in 0..ROUNDS {
                let mut mutant = original.clone();
                mutate(&mut mutant, &map, kind, &mut random);
                // Some get a second mutation: checks that shield each other are met one by one.
                if round % 4 == 3 && mutant.len() == original.len() {
                    mutate(&mut mutant, &map, 1 + random.below(KINDS - 1), &mut random);
                }
                let judged = catch_unwind(AssertUnwindSafe(|| judge(&mutant, &mut linker)));
                let which = format!("{} {name}, mutation {kind}, round {round}", target.name);
                match judged {
                    Ok(Ok(outcome)) => counts[outcome as usize] += 1,
                    Ok(Err(error)) => panic!("{which}: {error}"),
                    Err(_) => panic!("{which}: panicked"),
                }
            }
        }
    }
    counts
}

#[test]
fn mutants_are_refused_or_linked_as_they_say() {
    let mut all = [0; 3];
    for target in [Target::NETBSD_7_99_34_AMD64, Target::NETBSD_7_99_34_I386] {
        let counts = mutants_of(&target);
        let [refused, right, unjudged] = counts;
        println!("{}: {refused} refused, {right} right, {unjudged} not judged", target.name);
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let [refused, right, unjudged] = all;
    assert!(refused + right + unjudged >= 5_000);
    assert!(refused > 1_000 && right > 1_000, "mutants of both kinds mean something");
    assert!(unjudged * 20 < right, "nearly all that link are judged");
}

/// Every field of every header, not by chance: each with the values at its edges.
#[test]
fn every_header_field_at_its_edges() {
    let mut linker = Linker::new();
    let mut count = 0;
    for target in [Target::NETBSD_7_99_34_AMD64, Target::NETBSD_7_99_34_I386] {
        let original = module(&target, "polite").unwrap_or_else(|error| panic!("{error}"));
        let map = Map::of(&original);
        let (table, size, headers) = map.headers;
        let mut fields = file_fields(map.wide);
        fields.extend((0..headers).flat_map(|index| {
            let at = table + index * size;
            section_fields(map.wide).map(|(field, len)| (at + field, len))
        }));
        for (at, len) in fields {
            let was = word(&original, at, len);
            let whole = original.len() as u64;
            for value in
                [0, 1, was.wrapping_sub(1), was.wrapping_add(1), was << 1, whole - 1, whole, whole + 1, 1 << 31, u64::MAX]
            {
                let mut mutant = original.clone();
                put(&mut mutant, at, len, value);
                let judged = catch_unwind(AssertUnwindSafe(|| judge(&mutant, &mut linker)));
                match judged {
                    Ok(Ok(_)) => count += 1,
                    Ok(Err(error)) => panic!("{}: {value:#x} at {at:#x}: {error}", target.name),
                    Err(_) => panic!("{}: {value:#x} at {at:#x}: panicked", target.name),
                }
            }
        }
    }
    assert!(count > 2_000);
}

/// Every length that a file can be cut to.
#[test]
fn every_truncation_is_refused() {
    let mut linker = Linker::new();
    for target in [Target::NETBSD_7_99_34_AMD64, Target::NETBSD_7_99_34_I386] {
        let original = module(&target, "chain_2").unwrap_or_else(|error| panic!("{error}"));
        // The section headers come last, so that no shorter file is whole.
        for len in 0..original.len() {
            assert_eq!(judge(&original[..len], &mut linker), Ok(Outcome::Refused), "{}: {len} bytes", target.name);
        }
    }
}
