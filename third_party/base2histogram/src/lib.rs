//! What openraft needs of the crate `base2histogram`, without its tables. The README says why this is here.

mod chart;
mod histogram;
mod percentiles;

pub use chart::AsciiChart;
pub use histogram::Histogram;
pub use percentiles::PercentileStats;
