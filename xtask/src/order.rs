//! Functions in an order in which they compress well: one after those that it resembles.
//!
//! gzip finds what repeats within 32 KiB; the engine's code is a dozen times that, and compilers order it by who calls whom, or by how
//! often. Generic code and drop glue are there once for each type, nearly the same each time: side by side, each costs little.
//!
//! The order is made by names, by which `wasm-opt` then orders: it knows every place where a function's number is.

use crate::module::{self, CODE, CUSTOM, IMPORTS};
use std::collections::{HashMap, HashSet, VecDeque};

/// What is compared: runs of so many bytes, a few instructions. Runs of 5 and 8 gave files 0.2 % larger.
const RUN: usize = 6;

/// How an order is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// What gzip still sees, less what the next function takes itself.
    window: usize,
    /// Runs in more functions than this tell nothing: they are near from everywhere.
    common: usize,
    /// Added to a function's number of runs, so that the smallest do not come first for a single run in common.
    small: f64,
    /// Begins with the smallest function, not the largest.
    rising: bool,
}

/// The best known, and such as are as good but for luck, which is worth 0.3 %: all are to be tried.
pub(crate) const WAYS: [Way; 4] = [
    way(28_000, 60, 30.0, false),
    way(24_000, 60, 30.0, false),
    way(28_000, 60, 30.0, true),
    way(28_000, 30, 10.0, false),
];

const fn way(window: usize, common: usize, small: f64, rising: bool) -> Way {
    Way {
        window,
        common,
        small,
        rising,
    }
}

/// The module with a name for each of its own functions; sorted by name they stand in the order. `None` if it is not understood.
pub(crate) fn name(wasm: &[u8], way: &Way) -> Option<Vec<u8>> {
    let mut sections = module::sections(wasm)?;
    let content = |kind| {
        sections
            .iter()
            .find(|section| section.0 == kind)
            .map(|section| section.1)
    };
    let imported = content(IMPORTS).map_or(Some(0), |mut imports| module::number(&mut imports))?;
    let names = name_section(imported, &by_likeness(&bodies(content(CODE)?)?, way));
    sections.push((CUSTOM, &names));
    Some(module::assemble(sections))
}

fn bodies(mut code: &[u8]) -> Option<Vec<&[u8]>> {
    let count = module::number(&mut code)?;
    (0..count).map(|_| module::sized(&mut code)).collect()
}

/// Names of functions, whose numbers begin after the imported ones'.
fn name_section(imported: usize, order: &[usize]) -> Vec<u8> {
    let mut place = vec![0; order.len()];
    for (at, function) in order.iter().enumerate() {
        place[*function] = at;
    }
    let mut names = Vec::new();
    module::put(order.len(), &mut names);
    for (function, at) in place.iter().enumerate() {
        module::put(imported + function, &mut names);
        module::put_sized(format!("{at:06}").as_bytes(), &mut names);
    }
    let mut section = Vec::new();
    module::put_sized(b"name", &mut section);
    // The subsection of functions.
    section.push(1);
    module::put_sized(&names, &mut section);
    section
}

/// The functions' runs, each run as a number.
struct Runs {
    of: Vec<Vec<usize>>,
    /// The functions that have a run; of those that are common, none.
    having: Vec<Vec<usize>>,
}

impl Runs {
    fn of(bodies: &[&[u8]], common: usize) -> Self {
        let (mut numbers, mut having) = (HashMap::new(), Vec::<Vec<usize>>::new());
        let mut of = Vec::new();
        for (function, body) in bodies.iter().enumerate() {
            let mut own = HashSet::new();
            for run in body.windows(RUN) {
                let number = *numbers.entry(run).or_insert(having.len());
                if number == having.len() {
                    having.push(Vec::new());
                }
                if own.insert(number) {
                    having[number].push(function);
                }
            }
            of.push(own.into_iter().collect());
        }
        having
            .iter_mut()
            .filter(|functions| functions.len() > common)
            .for_each(Vec::clear);
        Self { of, having }
    }
}

/// From the largest function on, or the smallest, always the one next of whose runs the largest part is within the window. O(functions²).
fn by_likeness(bodies: &[&[u8]], way: &Way) -> Vec<usize> {
    let runs = Runs::of(bodies, way.common);
    let mut within = vec![0_u32; runs.having.len()];
    let mut shared = vec![0_i32; bodies.len()];
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let (mut order, mut window, mut length) = (Vec::new(), VecDeque::new(), 0);
    let share =
        |shared: &[i32], function: usize| f64::from(shared[function]) / (runs.of[function].len() as f64 + way.small);
    let size = |function: &usize| bodies[*function].len() as isize * if way.rising { -1 } else { 1 };
    let mut next = left.iter().copied().max_by_key(size);
    while let Some(function) = next {
        order.push(function);
        left.retain(|other| *other != function);
        window.push_back(function);
        length += bodies[function].len();
        for run in &runs.of[function] {
            within[*run] += 1;
            if within[*run] == 1 {
                runs.having[*run].iter().for_each(|other| shared[*other] += 1);
            }
        }
        while length > way.window && window.len() > 1 {
            let Some(gone) = window.pop_front() else { break };
            length -= bodies[gone].len();
            for run in &runs.of[gone] {
                within[*run] -= 1;
                if within[*run] == 0 {
                    runs.having[*run].iter().for_each(|other| shared[*other] -= 1);
                }
            }
        }
        next = left
            .iter()
            .copied()
            .max_by(|one, other| share(&shared, *one).total_cmp(&share(&shared, *other)));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_resemble_each_other_stand_together() {
        let of = |seed: u8, length: u8| (0..length).map(|at| seed.wrapping_mul(at ^ seed)).collect::<Vec<u8>>();
        let bodies = [of(3, 90), of(5, 80), of(3, 70), of(5, 60), of(3, 50)];
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        assert_eq!(by_likeness(&bodies, &WAYS[0])[..3], [0, 2, 4]);
        assert_eq!(by_likeness(&bodies, &WAYS[2])[..3], [4, 2, 0]);
    }

    #[test]
    fn names_are_given_from_the_first_function_that_is_not_imported() {
        let code = [2, 2, 0, 0x0b, 3, 0, 1, 0x0b];
        let imports = [2, 0, 0, 0, 0, 0, 0, 0, 0];
        let named = name(&module::assemble([(IMPORTS, &imports[..]), (CODE, &code)]), &WAYS[0]).unwrap();
        let (kind, names) = module::sections(&named).unwrap()[2];
        assert_eq!(kind, CUSTOM);
        assert_eq!(names, b"\x04name\x01\x11\x02\x02\x06000001\x03\x06000000");
    }

    #[test]
    fn what_is_no_module_gets_no_names() {
        assert_eq!(name(b"\0asm", &WAYS[0]), None);
        assert_eq!(name(&module::assemble([(CODE, &[1, 9, 0][..])]), &WAYS[0]), None);
        assert_eq!(name(&module::assemble([]), &WAYS[0]), None);
    }
}
