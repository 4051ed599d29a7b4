//! `lota wallet new`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    context::Context,
    flags::Format,
    keystore::{Keystore, Password, Strength},
    terminal,
};

/// Make a key, encrypted with a password of 8 characters or more (Web3 secret storage, version 3).
///
/// It is encrypted as geth and most wallets do (scrypt with n = 262144): whoever has the file needs a second and 256 MiB for
/// each guess.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota wallet new trading
  LOTA_PASSWORD=... lota node run --key trading
  lota wallet new play --light         # for a development chain")]
pub(crate) struct New {
    /// Its name in the keystore
    #[arg(default_value = "main")]
    name: String,
    /// Take the password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Encrypt it lightly (scrypt with n = 4096): quick, for play money on development chains only
    #[arg(long)]
    light: bool,
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
        let strength = if self.light { Strength::Light } else { Strength::Standard };
        let made = tokio::task::spawn_blocking(move || keystore.create(&name, &password, strength)).await??;
        if self.format.json {
            return terminal::print_json(&made);
        }
        terminal::tell(&format!("Key `{}` is kept encrypted in {}", made.name, made.file.display()));
        terminal::print(&format!("{}\n", made.address))
    }
}
