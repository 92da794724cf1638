//! Options that every verb takes. A flag wins over the environment, that over the chosen context, that over the home.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::language::Language;
use super::output::Format;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How to print: table, wide, json, jsonl, name
    #[arg(
        short,
        long,
        global = true,
        env = "RACTORFLOW_OUTPUT",
        hide_env = true,
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: Format,
    /// Print only the name or number of what is found or made
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Words of tables and messages [default: of the locale]
    #[arg(long, global = true, env = "RACTORFLOW_LANG", hide_env = true)]
    pub lang: Option<Language>,
    /// HTTP servers, separated by commas [default: the one of the home]
    #[arg(long, global = true, env = "RACTORFLOW_ADDR", hide_env = true, value_name = "URL", value_delimiter = ',')]
    pub addr: Vec<String>,
    /// Token to sign in with [default: the home's conf/admin.token]
    #[arg(long, global = true, env = "RACTORFLOW_TOKEN", hide_env = true, hide_env_values = true)]
    pub token: Option<String>,
    /// Context of ~/.config/ractorflow/config.toml
    #[arg(long, global = true, env = "RACTORFLOW_CONTEXT", hide_env = true)]
    pub context: Option<String>,
    /// Directory of conf, data, logs, run and xmlconfig [default: RACTORFLOW_HOME or the unpacked tree]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    #[arg(long, global = true, default_value = "auto", help = "When to colour")]
    pub color: Color,
    /// Say who answered
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}
