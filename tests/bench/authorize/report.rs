//! The figures as text: a table for each series, the noise that tells whether they hold, and the limits.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use crate::figures::Spread;
use crate::population::Population;

/// Outside of this the comparison of the smallest population with itself says that the machine was too noisy.
const QUIET: RangeInclusive<f64> = 0.95..=1.05;
/// A decision of a large population may cost so many times one of a small population.
const GROWTH: f64 = 1.2;
/// Nanoseconds that a decision may take.
const LIMIT: f64 = 2000.0;

/// The figures of one population, in the order of time, in nanoseconds a decision.
#[derive(Debug, Default)]
pub(crate) struct Row {
    size: usize,
    /// Of the same few members.
    pub(crate) hot: Vec<f64>,
    /// Of all members.
    pub(crate) cold: Vec<f64>,
}

/// One series: the smallest population, it once more, and those that are larger.
#[derive(Debug)]
pub(crate) struct Figures {
    name: &'static str,
    /// The populations.
    pub(crate) rows: Vec<Row>,
    /// What is wrong with the first decision that is.
    pub(crate) first_fault: Option<String>,
    decisions: u64,
    wrong: u64,
}

impl Figures {
    /// Of populations of these sizes.
    pub(crate) fn new(name: &'static str, sizes: impl Iterator<Item = usize>) -> Self {
        let rows = sizes.map(|size| Row { size, ..Row::default() }).collect();
        Self { name, rows, first_fault: None, decisions: 0, wrong: 0 }
    }

    /// Takes over what the populations have counted.
    pub(crate) fn count(&mut self, populations: &[Population]) {
        self.decisions = populations.iter().map(|population| population.decisions).sum::<u64>();
        self.wrong = populations.iter().map(|population| population.wrong).sum();
    }

    /// Each round's figure by the same round's of the smallest population.
    fn ratio(&self, row: &Row, figure: impl Fn(&Row) -> &[f64]) -> Spread {
        let base = self.rows.first().map(&figure).unwrap_or_default();
        Spread::of(figure(row).iter().zip(base).map(|(own, its)| own / its))
    }

    fn noise(&self) -> f64 {
        self.rows.get(1).map_or(f64::NAN, |row| self.ratio(row, |row| &row.hot).median)
    }

    /// The largest of the figures of the larger populations: their ratio and their time.
    fn worst(&self) -> (f64, f64) {
        let largest = |figures: &mut dyn Iterator<Item = f64>| figures.fold(f64::NAN, f64::max);
        (
            largest(&mut self.rows.iter().skip(2).map(|row| self.ratio(row, |row| &row.hot).median)),
            largest(&mut self.rows.iter().map(|row| Spread::of(row.hot.iter().copied()).median)),
        )
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounds = self.rows.first().map_or(0, |row| row.hot.len());
        writeln!(f, "\n{}: ns a decision, median (min-max) of {rounds} rounds", self.name)?;
        writeln!(f, "{:>10}  {:22}{:22}{:24}{:22}", "", "hot", "by the smallest", "cold", "by the smallest")?;
        for (place, row) in self.rows.iter().enumerate() {
            let [hot, cold] = [&row.hot, &row.cold].map(|figures| Spread::of(figures.iter().copied()).to_string());
            let by = [self.ratio(row, |row| &row.hot), self.ratio(row, |row| &row.cold)].map(|ratio| ratio.to_string());
            let [hot_by, cold_by] = if place == 0 { Default::default() } else { by };
            let again = if place == 1 { "again" } else { "" };
            writeln!(f, "{again:>6}{:>8}  {hot:20}{hot_by:20}{cold:22}{cold_by:20}", row.size)?;
        }
        self.first_fault.iter().try_for_each(|first| writeln!(f, "First wrong decision: {first}"))
    }
}

/// The whole run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    series: Vec<Figures>,
    /// The part of the machine's time that its host gave to others.
    pub(crate) stolen: f64,
}

impl Report {
    /// Another series.
    pub(crate) fn add(&mut self, figures: Figures) {
        self.series.push(figures);
    }

    /// How many decisions were wrong.
    pub(crate) fn wrong(&self) -> u64 {
        self.series.iter().map(|series| series.wrong).sum()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nHot: 64 questions about the same ten members of each population: the decision's own cost, which the limits \
             are for.\nCold: questions about all members, in random order: with what the machine's memory takes to fetch \
             policies and\nquestions that no cache holds. One question in eight is refused."
        )?;
        writeln!(f, "\nLimits of the hot figures: {GROWTH} times the smallest population, {LIMIT} ns")?;
        for series in &self.series {
            let (growth, nanos) = series.worst();
            let met = |good: bool| if good { "met" } else { "NOT MET" };
            let (name, noise) = (series.name, series.noise());
            let discard = if QUIET.contains(&noise) { "" } else { "  DISCARD: the machine was too noisy" };
            writeln!(
                f,
                "{name:42} {growth:5.2} {:8}{nanos:7.0} ns {:8} A/A {noise:.3}{discard}",
                met(growth <= GROWTH),
                met(nanos <= LIMIT)
            )?;
        }
        let checked: u64 = self.series.iter().map(|series| series.decisions).sum();
        writeln!(f, "\n{:.1} % stolen by the host", self.stolen * 100.0)?;
        writeln!(f, "Decisions checked: {checked}; wrong: {}", self.wrong())
    }
}
