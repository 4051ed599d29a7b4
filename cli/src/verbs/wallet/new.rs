//! `lota wallet new`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    arguments::Format,
    context::Context,
    keystore::{Keystore, Password},
    terminal,
};

/// Make a key, encrypted with a password (Web3 secret storage, version 3).
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lota wallet new trading
  LOTA_PASSWORD=... lota node run --key trading")]
pub(crate) struct New {
    /// Its name in the keystore
    #[arg(default_value = "main")]
    name: String,
    /// Take the password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl New {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let keystore = Keystore::of(&context.home);
        keystore.check_free(&self.name)?;
        let password = Password::from(self.password_file.clone()).choose(&self.name)?;
        context.home.create()?;
        let name = self.name.clone();
        let made = tokio::task::spawn_blocking(move || keystore.create(&name, &password)).await??;
        if self.format.json {
            return terminal::print_json(&made);
        }
        terminal::tell(&format!("Key `{}` is kept encrypted in {}", made.name, made.file.display()));
        terminal::print(&format!("{}\n", made.address))
    }
}
