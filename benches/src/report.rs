//! The table, the goals, and the same as JSON.

use crate::memory::Mode;
use crate::rows::{BOUND1, BOUND2, Figure, Figures, KMOD, RELINK, RUMPLOAD};
use serde_json::{Value, json};
use std::time::Duration;

impl Figure {
    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.times.clone();
        times.sort_unstable();
        times
    }

    fn median(&self) -> f64 {
        let times = self.sorted();
        times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
    }
}

impl Figures {
    fn get(&self, row: &str, mode: Mode) -> Option<&Figure> {
        self.rows.iter().find(|figure| figure.row == row && figure.mode == mode)
    }

    /// Time of one row over that of another.
    fn ratio(&self, row: &str, other: &str, mode: Mode) -> f64 {
        match (self.get(row, mode), self.get(other, mode)) {
            (Some(one), Some(other)) => one.median() / other.median(),
            _ => f64::NAN,
        }
    }
}

/// Something to reach.
struct Goal {
    text: String,
    value: f64,
    met: bool,
}

fn goals(figures: &Figures) -> Vec<Goal> {
    let most = |text: &str, value: f64, limit: f64| Goal {
        text: format!("{text}: {value:.2}, at most {limit}"),
        value,
        met: value <= limit,
    };
    let least = |text: &str, value: f64, limit: f64| Goal {
        text: format!("{text}: {value:.2}, at least {limit}"),
        value,
        met: value >= limit,
    };
    let rumpload = |mode| figures.get(RUMPLOAD, mode);
    let per_module = |count: usize| count as f64 / figures.modules as f64;
    let heap = rumpload(Mode::Arena).map_or(f64::NAN, |figure| per_module(figure.allocations));
    let memory = rumpload(Mode::Arena).map_or(f64::NAN, |figure| figure.memory.bytes as f64 / figures.allocated as f64);
    // The time a peer takes to refuse a module says nothing.
    let peer = |name: &str, row| {
        let comparable = figures.get(row, Mode::Arena).is_some_and(|figure| figure.failed < figures.modules);
        comparable
            .then(|| least(&format!("arena, {name}'s time over rumpload's"), figures.ratio(row, RUMPLOAD, Mode::Arena), 4.0))
    };
    let bounds = [
        most("arena, time over bound2", figures.ratio(RUMPLOAD, BOUND2, Mode::Arena), 1.5),
        most("fresh pages, time over bound1", figures.ratio(RUMPLOAD, BOUND1, Mode::Fresh), 1.3),
        most("heap allocations per warm load", heap, 0.0),
        most("image memory over bytes that ask for it", memory, 1.2),
    ];
    bounds.into_iter().chain(peer("kmod-loader", KMOD)).chain(peer("elf_loader", RELINK)).collect()
}

/// Prints the table.
pub fn print(figures: &Figures) {
    let Figures { modules, file_bytes, allocated, relocations, .. } = figures;
    println!("{modules} modules, {:.1} MB, {:.1} MB allocated, {relocations} relocations", mega(*file_bytes), mega(*allocated));
    for mode in [Mode::Arena, Mode::Fresh] {
        println!();
        println!(
            "{:<24} {:>9} {:>9} {:>9} {:>10} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7}",
            mode.name(),
            "median ms",
            "min",
            "max",
            "us/module",
            "x bound1",
            "x bound2",
            "MB",
            "syscalls",
            "heap/mod",
            "failed"
        );
        for figure in figures.rows.iter().filter(|figure| figure.mode == mode) {
            let times = figure.sorted();
            let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
            println!(
                "{:<24} {:>9.2} {:>9.2} {:>9.2} {:>10.2} {:>8.2} {:>8.2} {:>8.1} {:>9} {:>9.2} {:>7}",
                figure.row,
                figure.median() * 1e3,
                ms(times.first()),
                ms(times.last()),
                figure.median() * 1e6 / *modules as f64,
                figures.ratio(figure.row, BOUND1, mode),
                figures.ratio(figure.row, BOUND2, mode),
                mega(figure.memory.bytes),
                figure.memory.calls,
                figure.allocations as f64 / *modules as f64,
                figure.failed
            );
        }
    }
}

/// Prints which goals are met. They are about a corpus of whole drivers, not about a handful of small modules.
pub fn print_goals(figures: &Figures) {
    println!();
    for goal in goals(figures) {
        println!("{} {}", if goal.met { "met    " } else { "not met" }, goal.text);
    }
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// The same as JSON.
pub fn json(figures: &Figures) -> Value {
    let row = |figure: &Figure| {
        let times: Vec<f64> = figure.sorted().iter().map(Duration::as_secs_f64).collect();
        json!({
            "row": figure.row,
            "mode": figure.mode.name(),
            "median_seconds": figure.median(),
            "min_seconds": times.first(),
            "max_seconds": times.last(),
            "over_bound1": figures.ratio(figure.row, BOUND1, figure.mode),
            "over_bound2": figures.ratio(figure.row, BOUND2, figure.mode),
            "memory_bytes": figure.memory.bytes,
            "system_calls": figure.memory.calls,
            "heap_allocations": figure.allocations,
            "failed": figure.failed,
        })
    };
    json!({
        "modules": figures.modules,
        "file_bytes": figures.file_bytes,
        "allocated_bytes": figures.allocated,
        "relocations": figures.relocations,
        "rows": figures.rows.iter().map(row).collect::<Vec<_>>(),
        "goals": goals(figures)
            .iter()
            .map(|goal| json!({ "goal": goal.text, "value": goal.value, "met": goal.met }))
            .collect::<Vec<_>>(),
    })
}
