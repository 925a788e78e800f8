//! This run beside an earlier one.

use std::path::Path;

use super::{FORMAT, Report, Row};
use crate::exit::{Failure, Result};

/// An earlier report.
#[derive(Debug)]
pub(crate) struct Compared(Report);

impl Compared {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        let text = crate::text_file::utf8(text);
        let report: Report = serde_json::from_slice(&text).map_err(|error| {
            Failure::failed(format!("{} is no report of a benchmark: {error}", path.display()))
                .hint("make one with `pacslab bench --json > earlier.json`")
        })?;
        if report.pacslab_bench != FORMAT {
            let found = report.pacslab_bench;
            return Err(Failure::failed(format!(
                "{} has format {found}, this program reads format {FORMAT}",
                path.display()
            )));
        }
        Ok(Self(report))
    }

    /// How often the earlier rate this is. The target is the one of the same name, or of the same
    /// place: a port may have changed.
    pub(crate) fn ratio(&self, report: &Report, row: &Row) -> Option<f64> {
        let place = report.targets.iter().position(|target| target.name == row.target)?;
        let named = self.0.targets.iter().find(|target| target.name == row.target);
        let target = named.or_else(|| self.0.targets.get(place))?;
        let earlier = self
            .0
            .measurements
            .iter()
            .find(|earlier| earlier.key() == row.key() && earlier.target == target.name)?;
        (earlier.per_second > 0.0).then(|| row.per_second / earlier.per_second)
    }
}
