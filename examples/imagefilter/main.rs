//! Filters pictures: PNG and PPM in, PNG or PPM out.
//!
//! Build: `rustc --target wasm32-wasip1 -O main.rs -o imagefilter.wasm`
//!
//! Applies the filters that the command line names, in that order, to every picture under `/inputs`, and writes the results under
//! `/outputs` with the same names. Numbers are whole throughout: no rounding differs anywhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const INPUTS: &str = "/inputs";
const OUTPUTS: &str = "/outputs";
const USAGE: &str = "usage: imagefilter [--format png|ppm] FILTER...

filters: grey  invert  blur  sharpen  edges  half  flip  threshold=0..255";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (format, filters) = match parse(&args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("imagefilter: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(format, &filters) {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, message)) => {
            eprintln!("imagefilter: {}: {message}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Png,
    Ppm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Grey,
    Invert,
    Blur,
    Sharpen,
    Edges,
    Half,
    Flip,
    Threshold(u8),
}

fn parse(args: &[String]) -> Result<(Option<Format>, Vec<Filter>), String> {
    let (mut format, mut filters) = (None, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let filter = match arg.split_once('=').unwrap_or((arg, "")) {
            ("--format", value) => {
                let value = if value.is_empty() { args.next().map_or("", String::as_str) } else { value };
                format = match value {
                    "png" => Some(Format::Png),
                    "ppm" => Some(Format::Ppm),
                    _ => return Err(format!("--format is png or ppm, not {value:?}")),
                };
                continue;
            }
            ("grey", "") => Filter::Grey,
            ("invert", "") => Filter::Invert,
            ("blur", "") => Filter::Blur,
            ("sharpen", "") => Filter::Sharpen,
            ("edges", "") => Filter::Edges,
            ("half", "") => Filter::Half,
            ("flip", "") => Filter::Flip,
            ("threshold", value) => {
                Filter::Threshold(value.parse().map_err(|_| format!("threshold is 0 to 255, not {value:?}"))?)
            }
            _ => return Err(format!("there is no filter {arg:?}")),
        };
        filters.push(filter);
    }
    if filters.is_empty() && format.is_none() { Err("name a filter".to_owned()) } else { Ok((format, filters)) }
}

type Failure = (PathBuf, String);

fn run(format: Option<Format>, filters: &[Filter]) -> Result<(), Failure> {
    let mut todo = vec![PathBuf::from(INPUTS)];
    let mut pictures = Vec::new();
    while let Some(path) = todo.pop() {
        let failed = |error: io::Error| (path.clone(), error.to_string());
        if fs::metadata(&path).map_err(failed)?.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                todo.push(entry.map_err(failed)?.path());
            }
        } else {
            pictures.push(path);
        }
    }
    pictures.sort();
    for path in pictures {
        let failed = |message: String| (path.clone(), message);
        let bytes = fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let (found, mut picture) = decode(&bytes).map_err(failed)?;
        for filter in filters {
            picture = picture.filter(*filter);
        }
        let (suffix, bytes) = match format.unwrap_or(found) {
            Format::Png => ("png", picture.png()),
            Format::Ppm => ("ppm", picture.ppm()),
        };
        let inside = path.strip_prefix(INPUTS).ok().filter(|path| !path.as_os_str().is_empty());
        let to = Path::new(OUTPUTS).join(inside.unwrap_or(Path::new("picture"))).with_extension(suffix);
        let parent = to.parent().unwrap_or(Path::new(OUTPUTS));
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&to, bytes))
            .map_err(|error| (to.clone(), error.to_string()))?;
        println!("{}\t{} x {}", to.display(), picture.width, picture.height);
    }
    Ok(())
}

/// Most pixels of a picture.
const PIXELS: usize = 1 << 26;

/// Rows of pixels, three bytes each: red, green, blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

impl Picture {
    fn new(width: usize, height: usize) -> Result<Self, String> {
        match width.checked_mul(height) {
            Some(1..=PIXELS) => Ok(Self { width, height, bytes: Vec::with_capacity(width * height * 3) }),
            _ => Err(format!("a picture of {width} x {height} pixels is empty or too large")),
        }
    }

    /// What is outside of the picture is like the nearest pixel in it.
    fn at(&self, x: isize, y: isize, channel: usize) -> i32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.bytes[(y * self.width + x) * 3 + channel].into()
    }

    fn map(&self, width: usize, height: usize, pixel: impl Fn(isize, isize, usize) -> i32) -> Self {
        let mut bytes = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                bytes.extend((0..3).map(|channel| pixel(x as isize, y as isize, channel).clamp(0, 255) as u8));
            }
        }
        Self { width, height, bytes }
    }

    /// Sums up the pixels around one, each with its weight.
    fn around(&self, x: isize, y: isize, channel: usize, weights: &[[i32; 3]; 3]) -> i32 {
        let mut sum = 0;
        for (dy, row) in (-1..).zip(weights) {
            for (dx, weight) in (-1..).zip(row) {
                sum += weight * self.at(x + dx, y + dy, channel);
            }
        }
        sum
    }

    pub fn filter(&self, filter: Filter) -> Self {
        let (width, height) = (self.width, self.height);
        // ITU-R BT.601, in 256ths
        let luma = |x, y| (77 * self.at(x, y, 0) + 150 * self.at(x, y, 1) + 29 * self.at(x, y, 2) + 128) >> 8;
        match filter {
            Filter::Grey => self.map(width, height, |x, y, _| luma(x, y)),
            Filter::Invert => self.map(width, height, |x, y, channel| 255 - self.at(x, y, channel)),
            Filter::Threshold(least) => {
                self.map(width, height, |x, y, _| if luma(x, y) >= least.into() { 255 } else { 0 })
            }
            Filter::Flip => self.map(width, height, |x, y, channel| self.at(width as isize - 1 - x, y, channel)),
            Filter::Blur => {
                let weights = [[1, 2, 1], [2, 4, 2], [1, 2, 1]];
                self.map(width, height, |x, y, channel| (self.around(x, y, channel, &weights) + 8) >> 4)
            }
            Filter::Sharpen => {
                let weights = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]];
                self.map(width, height, |x, y, channel| self.around(x, y, channel, &weights))
            }
            Filter::Edges => {
                let across = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]];
                let down = [[-1, -2, -1], [0, 0, 0], [1, 2, 1]];
                let edges = |x, y, channel| {
                    let (gx, gy) = (self.around(x, y, channel, &across), self.around(x, y, channel, &down));
                    (gx * gx + gy * gy).isqrt()
                };
                self.map(width, height, edges)
            }
            Filter::Half => self.map(width.div_ceil(2), height.div_ceil(2), |x, y, channel| {
                let (x, y) = (2 * x, 2 * y);
                let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)];
                (four.into_iter().map(|(x, y)| self.at(x, y, channel)).sum::<i32>() + 2) >> 2
            }),
        }
    }

    pub fn ppm(&self) -> Vec<u8> {
        [format!("P6\n{} {}\n255\n", self.width, self.height).as_bytes(), &self.bytes].concat()
    }

    /// Not compressed: a PNG may hold its bytes as they are.
    pub fn png(&self) -> Vec<u8> {
        let mut rows = Vec::with_capacity(self.bytes.len() + self.height);
        for row in self.bytes.chunks(self.width * 3) {
            rows.push(0);
            rows.extend_from_slice(row);
        }
        let mut data = vec![0x78, 0x01];
        let mut blocks = rows.chunks(0xffff).peekable();
        while let Some(block) = blocks.next() {
            data.push(u8::from(blocks.peek().is_none()));
            let len = block.len() as u16;
            data.extend(len.to_le_bytes());
            data.extend((!len).to_le_bytes());
            data.extend_from_slice(block);
        }
        data.extend(adler32(&rows).to_be_bytes());
        let mut header = Vec::new();
        header.extend((self.width as u32).to_be_bytes());
        header.extend((self.height as u32).to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        let mut png = SIGNATURE.to_vec();
        for (kind, body) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
            png.extend((body.len() as u32).to_be_bytes());
            let begin = png.len();
            png.extend_from_slice(kind);
            png.extend(body);
            png.extend(crc32(&png[begin..]).to_be_bytes());
        }
        png
    }
}

/// Reads a picture of either format.
pub fn decode(bytes: &[u8]) -> Result<(Format, Picture), String> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Ok((Format::Png, png(bytes)?)),
        [b'P', b'5' | b'6', ..] => Ok((Format::Ppm, ppm(bytes)?)),
        _ => Err("neither PNG nor binary PPM or PGM".to_owned()),
    }
}

/// PPM (P6) and PGM (P5) with values up to 255.
fn ppm(bytes: &[u8]) -> Result<Picture, String> {
    let mut at = 2;
    let mut number = || {
        loop {
            match bytes.get(at) {
                Some(b'#') => {
                    while bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                        at += 1
                    }
                }
                Some(byte) if byte.is_ascii_whitespace() => at += 1,
                _ => break,
            }
        }
        let digits = bytes[at..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&bytes[at..at + digits]).unwrap_or_default();
        at += digits;
        text.parse::<usize>().map_err(|_| "its header is damaged".to_owned())
    };
    let (width, height, most) = (number()?, number()?, number()?);
    if most != 255 {
        return Err(format!("values up to {most}; only 255 is read"));
    }
    let mut picture = Picture::new(width, height)?;
    let pixels = bytes.get(at + 1..).unwrap_or_default();
    let (pixels, wanted) = match bytes[1] {
        b'5' => (pixels.iter().flat_map(|grey| [*grey; 3]).take(width * height * 3).collect(), width * height),
        _ => (pixels.iter().copied().take(width * height * 3).collect::<Vec<u8>>(), width * height * 3),
    };
    if pixels.len() < width * height * 3 {
        return Err(format!("it ends before its {wanted} bytes of pixels do"));
    }
    picture.bytes = pixels;
    Ok(picture)
}

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// PNG of 8 bits a channel that is not interlaced; what is transparent is shown on white.
fn png(bytes: &[u8]) -> Result<Picture, String> {
    let damaged = |what: &str| format!("a damaged PNG: {what}");
    let mut rest = bytes.strip_prefix(&SIGNATURE).ok_or_else(|| damaged("its signature"))?;
    let (mut header, mut palette, mut clear, mut data) = (None, Vec::new(), Vec::new(), Vec::new());
    loop {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it ends too early"))?;
        let length = u32::from_be_bytes(*length) as usize;
        if tail.len() < length.saturating_add(8) {
            return Err(damaged("it ends too early"));
        }
        let (chunk, tail) = tail.split_at(length + 4);
        let (sum, tail) = tail.split_at(4);
        if sum != crc32(chunk).to_be_bytes() {
            return Err(damaged("a checksum"));
        }
        let (kind, body) = chunk.split_at(4);
        match kind {
            b"IHDR" => header = <[u8; 13]>::try_from(body).ok(),
            b"PLTE" => palette = body.as_chunks::<3>().0.to_vec(),
            b"tRNS" => clear = body.to_vec(),
            b"IDAT" => data.extend_from_slice(body),
            b"IEND" => break,
            _ if kind[0] & 0x20 == 0 => return Err(damaged("a part that must be understood, and is not")),
            _ => {}
        }
        rest = tail;
    }
    let header = header.ok_or_else(|| damaged("no header"))?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
    let mut picture = Picture::new(number(0), number(4))?;
    let channels = match (header[8], header[9], header[12]) {
        (8, 0 | 3, 0) => 1,
        (8, 2, 0) => 3,
        (8, 4, 0) => 2,
        (8, 6, 0) => 4,
        (bits, kind, lace) => {
            return Err(format!("PNG of {bits} bits, colour type {kind}, interlace {lace} is not read"));
        }
    };
    let row = picture.width * channels;
    let wanted = (row + 1) * picture.height;
    let stream = data.get(2..data.len().saturating_sub(4)).ok_or_else(|| damaged("no data"))?;
    let mut rows = inflate(stream, wanted).map_err(damaged)?;
    if rows.len() != wanted || adler32(&rows).to_be_bytes() != data[data.len() - 4..] {
        return Err(damaged("its pixels"));
    }
    let mut above = vec![0; row];
    for line in rows.chunks_mut(row + 1) {
        let (kind, line) = (line[0], &mut line[1..]);
        for at in 0..row {
            let left = if at >= channels { line[at - channels] } else { 0 };
            let corner = if at >= channels { above[at - channels] } else { 0 };
            let predicted = match kind {
                0 => 0,
                1 => left,
                2 => above[at],
                3 => ((u16::from(left) + u16::from(above[at])) / 2) as u8,
                4 => paeth(left, above[at], corner),
                _ => return Err(damaged("a filter that there is not")),
            };
            line[at] = line[at].wrapping_add(predicted);
        }
        above.copy_from_slice(line);
        for pixel in line.chunks(channels) {
            let on_white = |value: u8, alpha: u8| {
                let (value, alpha) = (u32::from(value), u32::from(alpha));
                ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            let (colour, alpha) = match *pixel {
                [index] if header[9] == 3 => {
                    let colour =
                        *palette.get(usize::from(index)).ok_or_else(|| damaged("a colour that there is not"))?;
                    (colour, clear.get(usize::from(index)).copied().unwrap_or(255))
                }
                [grey] => ([grey; 3], 255),
                [grey, alpha] => ([grey; 3], alpha),
                [red, green, blue] => ([red, green, blue], 255),
                [red, green, blue, alpha] => ([red, green, blue], alpha),
                _ => return Err(damaged("its pixels")),
            };
            picture.bytes.extend(colour.map(|value| on_white(value, alpha)));
        }
    }
    Ok(picture)
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(above), i16::from(corner));
    let (pa, pb, pc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if pa <= pb && pa <= pc {
        left
    } else if pb <= pc {
        above
    } else {
        corner
    }
}

/// Bits of a deflate stream, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, &'static str> {
        let mut value = 0;
        for n in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("its data ends too early")?;
            value |= usize::from(byte >> (self.at % 8) & 1) << n;
            self.at += 1;
        }
        Ok(value)
    }
}

/// A Huffman code: how many symbols there are of each length, and the symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| (lengths[*symbol], *symbol));
        Self { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, &'static str> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(index + code - first).copied().ok_or("a code that there is not");
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a code that there is not")
    }
}

const LENGTHS: [usize; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [usize; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
];
/// In which order the lengths of the codes for lengths come.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Unpacks a deflate stream (RFC 1951) that holds so many bytes.
fn inflate(bytes: &[u8], wanted: usize) -> Result<Vec<u8>, &'static str> {
    let mut bits = Bits { bytes, at: 0 };
    let mut out = Vec::with_capacity(wanted);
    loop {
        let last = bits.take(1)? == 1;
        let (literals, distances) = match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let (length, inverse) = (bits.take(16)?, bits.take(16)?);
                let from = bits.at / 8;
                let block = bytes.get(from..from + length).ok_or("its data ends too early")?;
                if length ^ inverse != 0xffff || out.len() + length > wanted {
                    return Err("the length of a block");
                }
                out.extend_from_slice(block);
                bits.at += 8 * length;
                if last {
                    return Ok(out);
                }
                continue;
            }
            1 => {
                let lengths: Vec<usize> =
                    [(8, 144), (9, 112), (7, 24), (8, 8)].iter().flat_map(|(length, n)| vec![*length; *n]).collect();
                (Code::new(&lengths), Code::new(&[5; 30]))
            }
            2 => codes(&mut bits)?,
            _ => return Err("a block of no kind"),
        };
        loop {
            match literals.symbol(&mut bits)? {
                byte @ 0..=255 => out.push(byte as u8),
                256 => break,
                symbol => {
                    let symbol = symbol - 257;
                    let extra = *LENGTH_BITS.get(symbol).ok_or("a length that there is not")?;
                    let length = LENGTHS[symbol] + bits.take(extra)?;
                    let symbol = distances.symbol(&mut bits)?;
                    let base = *DISTANCES.get(symbol).ok_or("a distance that there is not")?;
                    let distance = base + bits.take(symbol.saturating_sub(2) / 2)?;
                    let from = out.len().checked_sub(distance).ok_or("a distance too far")?;
                    for at in from..from + length {
                        out.push(out[at]);
                    }
                }
            }
            if out.len() > wanted {
                return Err("more data than pixels");
            }
        }
        if last {
            return Ok(out);
        }
    }
}

/// The codes for literals and distances of a block that brings its own.
fn codes(bits: &mut Bits<'_>) -> Result<(Code, Code), &'static str> {
    let (literals, distances, count) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut lengths = [0; 19];
    for symbol in &ORDER[..count] {
        lengths[*symbol] = bits.take(3)?;
    }
    let code = Code::new(&lengths);
    let mut lengths: Vec<usize> = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits)? {
            16 => (*lengths.last().ok_or("a length that repeats nothing")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > literals + distances {
        return Err("too many lengths");
    }
    Ok((Code::new(&lengths[..literals]), Code::new(&lengths[literals..])))
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for chunk in bytes.chunks(5_552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65_521;
        b %= 65_521;
    }
    b << 16 | a
}

fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let (mut value, mut bit) = (n as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[n] = value;
            n += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8))
}
