//! Reading and writing at a place of a file, to and from lists of slices.

use std::fs::File;
use std::io::{self, IoSlice};

use rustix::io::{Errno, pread, pwritev};
use tombolo_core::event::StorageError;
use tombolo_core::slices::Slices;

/// How many slices one system call takes: Linux and the BSDs allow 1024.
const SLICES: usize = 256;

/// Writes all of `data` from `offset` on.
pub(super) fn write_all(file: &File, data: &Slices, mut offset: u64) -> io::Result<()> {
    let mut slices = data.iter().map(|bytes| IoSlice::new(bytes)).collect::<Vec<_>>();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let count = rest.len().min(SLICES);
        match pwritev(file, &rest[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Appends the `length` bytes from `offset` on to `data`, which has room for them: nothing is zeroed first.
pub(super) fn read_into(file: &File, data: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<()> {
    let (start, end) = (data.len(), data.len() + length);
    while data.len() < end {
        let at = offset + (data.len() - start) as u64;
        match pread(file, rustix::buffer::spare_capacity(data), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    data.truncate(end);
    Ok(())
}

/// What the core is told of a failure.
pub(super) fn storage_error(error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full,
        _ => StorageError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn many_slices_are_written_in_order() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..1_000u32).map(|number| number as u8).collect();
        let mut slices = Slices::new();
        bytes
            .iter()
            .for_each(|&byte| slices.push(Bytes::copy_from_slice(&[byte])));
        write_all(&file, &slices, 5).unwrap();
        let mut read = Vec::with_capacity(1_000);
        read_into(&file, &mut read, 5, 1_000).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(
            read_into(&file, &mut read, 900, 106).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn a_file_that_goes_on_gives_no_more_than_asked_for() {
        let file = tempfile::tempfile().unwrap();
        write_all(&file, &Slices::from(Bytes::from_static(b"0123456789")), 0).unwrap();
        let mut read = Vec::with_capacity(10);
        read_into(&file, &mut read, 2, 3).unwrap();
        read_into(&file, &mut read, 0, 1).unwrap();
        assert_eq!(read, b"2340");
    }

    #[test]
    fn a_full_disk_has_a_name_of_its_own() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert_eq!(storage_error(&errno.into()), StorageError::Full);
        }
        assert!(matches!(storage_error(&Errno::IO.into()), StorageError::Other(_)));
    }
}
