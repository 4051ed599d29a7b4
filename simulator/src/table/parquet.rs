//! Parquet, without Arrow. Rows are held until a row group is full: that bounds the memory, whatever the table's size.

mod read;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::writer::ColumnCloseResult,
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
    },
    errors::ParquetError,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaDataReader},
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use super::{Column, Kind, malformed};

pub(super) use read::ParquetCells;

/// The most rows of a row group.
pub const GROUP_ROWS: usize = 1 << 17;
/// The most bytes that the texts of a row group may take while it is held; the same text counts once.
pub const GROUP_BYTES: usize = 1 << 24;

/// Writes rows as Parquet, compressed by Snappy.
pub struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<(Column, Values)>,
    rows: usize,
    /// Texts and amounts of this group, each held once.
    known: HashMap<Box<str>, ByteArray>,
    bytes: usize,
}

/// A column's values in this group; what is empty is not among them.
struct Values {
    /// 1 where there is a value, 0 where there is none.
    levels: Vec<i16>,
    values: Typed,
}

enum Typed {
    Counts(Vec<i64>),
    Numbers(Vec<f64>),
    Amounts(Vec<FixedLenByteArray>),
    Texts(Vec<ByteArray>),
    Flags(Vec<bool>),
}

impl<W: Write + Send> ParquetRows<W> {
    pub(super) fn begin(to: W, columns: &[Column]) -> io::Result<Self> {
        let fields =
            columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_, _>>().map_err(other)?;
        let schema = Type::group_type_builder("row").with_fields(fields).build().map_err(other)?;
        // Statistics of groups let readers skip them; those of pages cost memory for as long as the file is written.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(concat!("lota ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties)).map_err(other)?;
        let columns = columns.iter().map(|column| (column.clone(), Values::of(column.kind))).collect();
        Ok(Self { writer, columns, rows: 0, known: HashMap::new(), bytes: 0 })
    }

    pub(super) fn row<'c>(&mut self, mut cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
        for (column, values) in &mut self.columns {
            let cell = cells.next().ok_or_else(|| malformed(format!("a row lacks its {}", column.name)))?;
            if cell.is_empty() {
                values.levels.push(0);
                continue;
            }
            let wrong = || malformed(format!("{}: `{cell}` is no {:?}", column.name, column.kind));
            match &mut values.values {
                // Parquet's unsigned numbers are these 64 bits.
                Typed::Counts(all) => all.push(cell.parse::<u64>().map_err(|_| wrong())?.cast_signed()),
                Typed::Numbers(all) => all.push(cell.parse().map_err(|_| wrong())?),
                Typed::Flags(all) => all.push(cell.parse().map_err(|_| wrong())?),
                Typed::Texts(all) => {
                    all.push(hold(&mut self.known, &mut self.bytes, cell, |text| text.as_bytes().to_vec().into()))
                }
                Typed::Amounts(all) => {
                    let amount = cell.parse::<u128>().ok().filter(|amount| *amount < 10_u128.pow(38));
                    let amount = amount.ok_or_else(wrong)?.to_be_bytes();
                    // An amount and a text of the same digits are different bytes.
                    let text = format!("{cell}\0");
                    all.push(hold(&mut self.known, &mut self.bytes, &text, |_| amount.to_vec().into()).into());
                }
            }
            values.levels.push(1);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(other)?;
        for (_, Values { levels, values }) in &mut self.columns {
            match values {
                Typed::Counts(all) => write::<Int64Type, W>(&mut group, all, levels),
                Typed::Numbers(all) => write::<DoubleType, W>(&mut group, all, levels),
                Typed::Amounts(all) => write::<FixedLenByteArrayType, W>(&mut group, all, levels),
                Typed::Texts(all) => write::<ByteArrayType, W>(&mut group, all, levels),
                Typed::Flags(all) => write::<BoolType, W>(&mut group, all, levels),
            }
            .map_err(other)?;
        }
        group.close().map_err(other)?;
        self.known.clear();
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Takes over the row groups of another file as they are.
    pub(super) fn copy(&mut self, from: &File) -> io::Result<()> {
        self.flush()?;
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        let metadata = reader.parse_and_finish(from).map_err(other)?;
        for group in metadata.row_groups() {
            let mut to = self.writer.next_row_group().map_err(other)?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                to.append_column(from, close).map_err(other)?;
            }
            to.close().map_err(other)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.writer.into_inner().map_err(other)
    }
}

impl Values {
    const fn of(kind: Kind) -> Self {
        let values = match kind {
            Kind::Count => Typed::Counts(Vec::new()),
            Kind::Number => Typed::Numbers(Vec::new()),
            Kind::Amount => Typed::Amounts(Vec::new()),
            Kind::Text => Typed::Texts(Vec::new()),
            Kind::Flag => Typed::Flags(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }
}

fn hold(
    known: &mut HashMap<Box<str>, ByteArray>,
    bytes: &mut usize,
    text: &str,
    make: impl FnOnce(&str) -> ByteArray,
) -> ByteArray {
    if let Some(value) = known.get(text) {
        return value.clone();
    }
    let value = make(text);
    known.insert(text.into(), value.clone());
    *bytes += 2 * text.len() + 128;
    value
}

fn write<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    levels: &mut Vec<i16>,
) -> Result<(), ParquetError> {
    let mut column =
        group.next_column()?.ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()?;
    values.clear();
    levels.clear();
    Ok(())
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let builder = |physical| Type::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL);
    match column.kind {
        Kind::Count => builder(Physical::INT64).with_logical_type(Some(LogicalType::integer(64, false))),
        Kind::Number => builder(Physical::DOUBLE),
        Kind::Amount => builder(Physical::FIXED_LEN_BYTE_ARRAY)
            .with_length(16)
            .with_logical_type(Some(LogicalType::decimal(0, 38)))
            .with_precision(38)
            .with_scale(0),
        Kind::Text => builder(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)),
        Kind::Flag => builder(Physical::BOOLEAN),
    }
    .build()
}

pub(super) fn other(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => malformed(error.to_string()),
    }
}
