//! Tables are read.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use super::{FileFormat, malformed, parquet::ParquetCells};

/// A table's rows, one after the other, each cell as the text that it was written from.
pub struct Rows {
    columns: Vec<String>,
    rows: Source,
}

enum Source {
    Csv(Box<csv::StringRecordsIntoIter<Bounded>>, Rc<Cell<u64>>),
    Parquet(Box<ParquetCells>),
}

/// The longest row of a CSV file, in bytes.
const MAX_ROW: u64 = 1 << 20;

/// A file of which no more is read than is left for the row.
struct Bounded {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or_else(|| malformed(format!("a row has more than {MAX_ROW} bytes")))?);
        Ok(read)
    }
}

impl Rows {
    /// Opens `NAME.csv` or `NAME.parquet` of a folder.
    ///
    /// # Errors
    /// When there is neither, or it cannot be read.
    pub fn open(folder: &Path, name: &str) -> io::Result<Self> {
        for format in [FileFormat::Csv, FileFormat::Parquet] {
            match File::open(folder.join(format!("{name}.{}", format.extension()))) {
                Ok(file) => return Self::of(file, format),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("there is neither {name}.csv nor {name}.parquet")))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is none of that format.
    pub fn of(file: File, format: FileFormat) -> io::Result<Self> {
        match format {
            FileFormat::Csv => {
                let left = Rc::new(Cell::new(MAX_ROW));
                let mut rows = csv::Reader::from_reader(Bounded { file, left: left.clone() });
                let columns = rows.headers()?.iter().map(str::to_owned).collect();
                Ok(Self { columns, rows: Source::Csv(Box::new(rows.into_records()), left) })
            }
            FileFormat::Parquet => {
                let cells = ParquetCells::open(file)?;
                Ok(Self { columns: cells.names().to_vec(), rows: Source::Parquet(Box::new(cells)) })
            }
        }
    }

    /// The columns' names.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The place of a column.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn column(&self, name: &str) -> io::Result<usize> {
        let found = self.columns.iter().position(|column| column == name);
        found
            .ok_or_else(|| malformed(format!("there is no column {name}; was this folder written by another program?")))
    }
}

impl Iterator for Rows {
    type Item = io::Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Source::Csv(rows, left) => {
                left.set(MAX_ROW);
                let row = rows.next()?;
                Some(row.map(|row| row.iter().map(str::to_owned).collect()).map_err(io::Error::from))
            }
            Source::Parquet(rows) => rows.row().transpose(),
        }
    }
}
