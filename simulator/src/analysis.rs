//! What folders of runs say: two of them compared, one of them as a page with plots.

mod compare;
mod folder;
mod page;
mod plot;

pub use self::{
    compare::{Comparison, compare},
    folder::{AnalysisError, Folder, Ran},
    page::page,
};
