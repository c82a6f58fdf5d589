//! `cargo bench --bench authorize`: what one decision of the policy engine costs, and whether it grows.
//!
//! Each series is one way for policies to become many, at three sizes and the smallest a second time (whatever those two
//! differ in is noise). Rounds alternate in rotating order. Every decision is compared with the one that the population
//! was made for; a wrong one is a failure, a limit that is not met is none.

mod documents;
#[path = "../figures.rs"]
mod figures;
mod grants;
mod population;
mod question;
mod report;
mod series;

use std::process::ExitCode;

use figures::{machine_ticks, stolen_since};
use population::{Load, Population};
use report::{Figures, Report};
use series::{SERIES, Series};

/// A result whose error is told to the operator.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "usage: cargo bench --bench authorize [-- [--quick] [SERIES]]
  --quick   5 rounds instead of 101, 1,000 for 100,000: shows that the benchmark works, and no more
  SERIES    only the series whose names begin so";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match Plan::read(&arguments).and_then(|plan| plan.run()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("{wrong} decisions were wrong");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be measured.
struct Plan<'w> {
    rounds: usize,
    largest: usize,
    beginning: &'w str,
}

impl<'w> Plan<'w> {
    fn read(words: &'w [String]) -> Outcome<Self> {
        let mut plan = Self { rounds: 101, largest: 100_000, beginning: "" };
        for word in words {
            match word.as_str() {
                "--quick" => (plan.rounds, plan.largest) = (5, 1000),
                name if SERIES.iter().any(|series| series.name.starts_with(name)) => plan.beginning = name,
                _other => return Err(USAGE.into()),
            }
        }
        Ok(plan)
    }

    /// The whole run: how many decisions were wrong.
    fn run(&self) -> Outcome<u64> {
        if cfg!(debug_assertions) {
            println!("A DEBUG BUILD: it shows that the benchmark works; its figures mean nothing.");
        }
        let ticks = machine_ticks()?;
        let mut report = Report::default();
        for series in SERIES.iter().filter(|series| series.name.starts_with(self.beginning)) {
            let measured = self.measure(series)?;
            print!("{measured}");
            report.add(measured);
        }
        report.stolen = stolen_since(ticks)?;
        print!("{report}");
        Ok(report.wrong())
    }

    /// One series; its populations are gone before those of the next one are made.
    fn measure(&self, series: &Series) -> Outcome<Figures> {
        let [first, rest @ ..] = series.sizes;
        let sizes = [first, first].into_iter().chain(rest).map(|size| size.min(self.largest));
        let mut populations = sizes.map(|size| Population::make(series, size)).collect::<Outcome<Vec<_>>>()?;
        let mut figures = Figures::new(series.name, populations.iter().map(|population| population.size));
        for population in &mut populations {
            figures.first_fault = figures.first_fault.or(population.first_fault());
        }
        let count = populations.len();
        for round in 0..self.rounds {
            for place in (0..count).map(|place| (round + place) % count) {
                if let (Some(population), Some(row)) = (populations.get_mut(place), figures.rows.get_mut(place)) {
                    row.hot.push(population.nanos(Load::Hot));
                    row.cold.push(population.nanos(Load::Cold));
                }
            }
        }
        figures.count(&populations);
        Ok(figures)
    }
}
