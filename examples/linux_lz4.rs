//! Compresses a file with a stock Linux module: `LZ4_compress_default` is asked for, and the module that exports it arrives.
//!
//! `cargo run --release --example linux_lz4 -- MODULES FILE OUT`, where `MODULES` is a directory with a kernel package's modules
//! (`/lib/modules/VERSION`, or an unpacked package). `lz4 -d OUT` gives the file back.

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    match compress::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("linux_lz4: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    eprintln!("linux_lz4: Linux modules run on x86-64 only");
    std::process::ExitCode::FAILURE
}

#[cfg(target_arch = "x86_64")]
mod compress {
    use rumpload_base_linux::{Boot, Kernel, Trigger};
    use rumpload_hosted::{GsBase, host};
    use std::error::Error;
    use std::sync::Arc;

    /// Bytes of a block: the largest size that a frame allows.
    const BLOCK: usize = 4 << 20;
    /// Bytes that the function wants to work in (`LZ4_MEM_COMPRESS`).
    const WORK: usize = 16 << 10;
    /// What a frame of independent blocks of that size begins with: magic number, flags, block size, checksum of both.
    const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73];
    /// Bit of a block's length: its bytes are as they were.
    const STORED: u32 = 1 << 31;

    pub fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [modules, file, out] = arguments.as_slice() else {
            return Err("usage: linux_lz4 MODULES FILE OUT".into());
        };
        let kernel = Kernel::boot(Boot::new(Arc::new(GsBase::new())), host(modules)?)?;
        println!("a kernel for modules built for \"{}\"", kernel.vermagic());
        kernel.autoload(Trigger::Symbol("LZ4_compress_default"))?;
        for module in kernel.modules() {
            println!("{} came, {} bytes at {}", module.name, module.size, module.address);
        }
        let text = std::fs::read(file)?;
        let mut frame = HEADER.to_vec();
        for block in text.chunks(BLOCK) {
            let packed = compress(&kernel, block)?;
            let (length, bytes) = match packed {
                Some(ref packed) => (packed.len() as u32, packed.as_slice()),
                None => (block.len() as u32 | STORED, block),
            };
            frame.extend(length.to_le_bytes());
            frame.extend(bytes);
        }
        frame.extend([0; 4]);
        std::fs::write(out, &frame)?;
        println!("{file}: {} bytes became {}", text.len(), frame.len());
        Ok(())
    }

    /// The compressed block, unless it is no smaller.
    fn compress(kernel: &Kernel, block: &[u8]) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
        let mut packed = vec![0_u8; block.len().saturating_sub(1)];
        // A little more than it says, in words because it wants them aligned.
        let mut work = vec![0_u64; (WORK + 64) / 8];
        let arguments = [
            block.as_ptr().expose_provenance() as u64,
            packed.as_mut_ptr().expose_provenance() as u64,
            block.len() as u64,
            packed.len() as u64,
            work.as_mut_ptr().expose_provenance() as u64,
        ];
        // SAFETY: `int LZ4_compress_default(const char *, char *, int, int, void *)`: source and room with their lengths, and
        // enough memory to work in.
        let used = unsafe { kernel.call("LZ4_compress_default", &arguments)? } as i32;
        packed.truncate(usize::try_from(used)?);
        Ok(Some(packed).filter(|packed| !packed.is_empty()))
    }
}
