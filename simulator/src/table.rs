//! Tables of rows in files: CSV and Parquet, written and read row by row. A table's size is bounded by the disk alone: a writer
//! holds one group of rows, a reader one page of each column.

mod parquet;
mod read;

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
};

use serde::{Deserialize, Serialize};

pub use self::{
    parquet::{GROUP_BYTES, GROUP_ROWS, ParquetRows},
    read::Rows,
};

/// What a column holds. A cell is a text in all cases, and an empty one is no value (null in Parquet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole number below 2^64. Parquet: INT64, unsigned.
    Count,
    /// Parquet: DOUBLE. Written with as many digits as give the same number again.
    Number,
    /// attoFIL, exact. Parquet: DECIMAL(38, 0).
    Amount,
    /// Parquet: STRING.
    Text,
    /// `true` or `false`. Parquet: BOOLEAN.
    Flag,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

impl Column {
    /// Columns from their names.
    #[must_use]
    pub fn all(columns: &[(&str, Kind)]) -> Vec<Self> {
        columns.iter().map(|&(name, kind)| Self { name: name.to_owned(), kind }).collect()
    }
}

/// What files are written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    #[default]
    Csv,
    Parquet,
}

impl FileFormat {
    /// What names of its files end with.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Writes a table.
pub enum TableWriter {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Parquet(Box<ParquetRows<BufWriter<File>>>),
}

impl TableWriter {
    /// Begins a table, with its columns' names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(to: File, format: FileFormat, columns: &[Column]) -> io::Result<Self> {
        let to = BufWriter::with_capacity(1 << 16, to);
        Ok(match format {
            FileFormat::Csv => {
                let mut rows = csv::Writer::from_writer(to);
                rows.write_record(columns.iter().map(|column| &column.name))?;
                Self::Csv(Box::new(rows))
            }
            FileFormat::Parquet => Self::Parquet(Box::new(ParquetRows::begin(to, columns)?)),
        })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When it cannot be written, or a cell is not of its column's kind.
    pub fn row<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
        match self {
            Self::Csv(rows) => {
                for cell in cells {
                    rows.write_field(cell)?;
                }
                Ok(rows.write_record(None::<&[u8]>)?)
            }
            Self::Parquet(rows) => rows.row(cells),
        }
    }

    /// Writes all rows of a table of the same format and columns that was written before.
    ///
    /// # Errors
    /// When one of them cannot be read or written.
    pub fn copy(&mut self, mut from: File) -> io::Result<()> {
        match self {
            Self::Csv(rows) => {
                rows.flush()?;
                skip_line(&mut from)?;
                let to = rows.get_ref().get_ref();
                io::copy(&mut from, &mut &*to)?;
                Ok(())
            }
            Self::Parquet(rows) => rows.copy(&from),
        }
    }

    /// Ends the table; what was written is on the disk.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(self) -> io::Result<()> {
        let buffer = match self {
            Self::Csv(rows) => rows.into_inner().map_err(|error| io::Error::other(error.to_string()))?,
            Self::Parquet(rows) => rows.finish()?,
        };
        let mut file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.flush()?;
        file.sync_all()
    }
}

/// Goes behind the first line: the columns' names, in which nobody's text is but ours.
fn skip_line(file: &mut File) -> io::Result<()> {
    use io::{BufRead as _, Seek as _};
    let length = io::BufReader::new(&*file).skip_until(b'\n')? as u64;
    file.seek(io::SeekFrom::Start(length))?;
    Ok(())
}

fn malformed(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
