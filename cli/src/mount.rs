//! placeholder while the base's file interface is on its way
use clap::Args;
#[derive(Debug, Args)]
pub struct Mount {}
impl Mount {
    pub fn run(&self) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }
}
