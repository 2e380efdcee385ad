//! The language, by tables; and that nothing makes its reader panic.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Dockerfile {
    let (file, problems) = Dockerfile::parse(text.as_bytes());
    file.unwrap_or_else(|| panic!("{text}: {problems:?}"))
}

/// Of a single instruction after FROM.
fn kind(text: &str) -> Kind {
    let mut file = parsed(&format!("FROM base\n{text}\n"));
    file.stages[0].instructions.remove(0).kind
}

fn problems(text: &str) -> Vec<String> {
    Dockerfile::parse(text.as_bytes()).1.iter().map(ToString::to_string).collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn pairs(words: &[(&str, &str)]) -> Vec<(String, String)> {
    words.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_end_of_a_file_is_no_empty_line() {
    // Found by fuzzing: it was told of a line that is not there.
    let (_, problems) = Dockerfile::parse(b"FROM a\nRUN b \\\n");
    assert!(problems.iter().all(|problem| problem.place.line <= 2), "{problems:?}");
}

#[test]
fn lines_go_on_and_comments_stand_between() {
    let run = |text: &str| match kind(text) {
        Kind::Run(run) => run.command,
        other => panic!("{other:?}"),
    };
    assert_eq!(run("RUN a \\\n  # a comment\n  b"), Command::Shell("a   b".to_owned()));
    assert_eq!(run("run a \\  \n b"), Command::Shell("a  b".to_owned()));
    assert_eq!(run(r#"RUN ["a", "b c"]"#), Command::Exec(strings(&["a", "b c"])));
    assert_eq!(run("RUN ['a']"), Command::Shell("['a']".to_owned()));
    assert_eq!(parsed("# escape=`\nFROM a\nRUN a `\n b").stages[0].instructions.len(), 1);
    assert_eq!(parsed("\u{feff}FROM a\r\nRUN b\r\n").stages[0].instructions[0].text, "RUN b");
}

#[test]
fn pairs_are_read_in_both_forms() {
    for (text, expected) in [
        ("ENV a=b c=\"d e\"", pairs(&[("a", "b"), ("c", "\"d e\"")])),
        ("ENV a b c", pairs(&[("a", "b c")])),
        ("ENV a=$b\\ c", pairs(&[("a", "$b\\ c")])),
    ] {
        assert_eq!(kind(text), Kind::Env(expected), "{text}");
    }
    assert_eq!(kind("LABEL \"a.b\"=c"), Kind::Label(pairs(&[("\"a.b\"", "c")])));
    let expected = vec![("a".to_owned(), None), ("b".to_owned(), Some("1".to_owned()))];
    assert_eq!(kind("ARG a b=1"), Kind::Arg(expected));
}

#[test]
fn flags_of_copies() {
    let Kind::Copy(copy) = kind("COPY --from=x --chown=1:2 --chmod=u=rwX --link --parents --exclude=*.a --exclude=b a b c/")
    else {
        panic!("no COPY")
    };
    assert_eq!((copy.from.as_deref(), copy.chown.as_deref(), copy.chmod.as_deref()), (Some("x"), Some("1:2"), Some("u=rwX")));
    assert!(copy.link && copy.parents && !copy.add);
    assert_eq!((copy.excludes, copy.target.as_str(), copy.sources.len()), (strings(&["*.a", "b"]), "c/", 2));
    let Kind::Copy(add) = kind("ADD --checksum=sha256:1 --unpack=false --keep-git-dir=true https://x/y /z") else {
        panic!("no ADD")
    };
    assert!(add.add && add.keep_git_dir && add.unpack == Some(false));
    let Kind::Copy(json) = kind(r#"COPY ["a b", "c d"]"#) else { panic!("no COPY") };
    assert_eq!((json.sources, json.target.as_str()), (vec![CopySource::Path("a b".to_owned())], "c d"));
}

#[test]
fn heredocs() {
    let run = |text: &str| match kind(text) {
        Kind::Run(run) => (run.command, run.script.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(run("RUN <<EOF\necho a\nEOF"), (Command::Shell("echo a\n".to_owned()), false));
    assert_eq!(run("RUN <<-EOF\n\techo a\n\tEOF"), (Command::Shell("echo a\n".to_owned()), false));
    assert_eq!(run("RUN <<EOF\n#!/bin/x\nEOF"), (Command::Shell("#!/bin/x\n".to_owned()), true));
    let piped = Command::Shell("cat <<A | tee <<'B' x\none\nA\ntwo\nB\n".to_owned());
    assert_eq!(run("RUN cat <<A | tee <<'B' x\none\nA\ntwo\nB"), (piped, false));
    let Kind::Copy(copy) = kind("COPY <<one <<'two' /d/\n1 $a\none\n2\ntwo") else { panic!("no COPY") };
    let inline = |source: &CopySource| match source {
        CopySource::Inline(heredoc) => (heredoc.head.name.clone(), heredoc.content(), heredoc.head.expands),
        CopySource::Path(path) => panic!("{path}"),
    };
    assert_eq!(inline(&copy.sources[0]), ("one".to_owned(), "1 $a\n".to_owned(), true));
    assert_eq!(inline(&copy.sources[1]), ("two".to_owned(), "2\n".to_owned(), false));
    assert_eq!(problems("FROM a\nRUN <<EOF\nx"), ["line 2:5: the heredoc `EOF` has no end"]);
    let file = parsed("FROM a\nRUN <<EOF\nFROM x\nEOF\nRUN b");
    assert_eq!((file.stages.len(), file.stages[0].instructions[0].last_line), (1, 4));
}

#[test]
fn mounts() {
    let Kind::Run(run) = kind(
        "RUN --mount=target=/a,from=b,rw --mount=type=cache,target=/c,id=x,sharing=locked,mode=0700,uid=1 \
        --mount=type=secret,id=s,env=S,required --mount=type=ssh --mount=type=tmpfs,dst=/t,size=1m make",
    ) else {
        panic!("no RUN")
    };
    assert_eq!(
        run.mounts.iter().map(|mount| mount.kind).collect::<Vec<_>>(),
        [MountKind::Bind, MountKind::Cache, MountKind::Secret, MountKind::Ssh, MountKind::Tmpfs]
    );
    assert_eq!((run.mounts[0].writable, run.mounts[1].sharing, run.mounts[2].required), (Some(true), Sharing::Locked, true));
    assert_eq!(
        problems("FROM a\nRUN --mount=type=x a")[0],
        "line 2:5: unknown mount type `x`: bind, cache, tmpfs, secret and ssh are"
    );
    assert_eq!(
        problems("FROM a\nRUN --mount=type=tmpfs,target=/x,from=y a")[0],
        "line 2:5: `from` is no option of a tmpfs mount"
    );
}

#[test]
fn health_is_checked_by_a_command_or_not_at_all() {
    let Kind::Healthcheck(check) = kind("HEALTHCHECK --interval=1m30s --retries=3 CMD curl x") else { panic!("none") };
    assert_eq!((check.interval, check.retries), (Some(std::time::Duration::from_secs(90)), Some(3)));
    assert_eq!(check.command, Some(Command::Shell("curl x".to_owned())));
    assert_eq!(kind("HEALTHCHECK NONE"), Kind::Healthcheck(Healthcheck::default()));
}

#[test]
fn every_error_is_told_with_its_place_and_what_to_do() {
    let found = Dockerfile::parse(b"FORM a\nRUN b\nFROM x\nCOPY a\nENV a=b c\n  FROM\nRUN --what x").1;
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1:1: unknown instruction `FORM`",
            "line 2:1: no stage has begun: only ARG may stand before the first FROM",
            "line 4:6: COPY requires at least two arguments: what is copied, and where to",
            "line 5:9: `c` has no `=`: expected name=value",
            "line 6:3: FROM requires at least one argument",
            "line 7:5: unknown flag `--what` of RUN",
        ]
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean FROM?"));
    assert_eq!(problems(""), ["line 1:1: the file has no stage"]);
}

#[test]
fn rules_of_style_by_their_names() {
    for (text, rule) in [
        ("FROM a AS Base", Rule::StageNameCasing),
        ("FROM a as b", Rule::FromAsCasing),
        ("FROM a\nRUN b \\\n\n c", Rule::NoEmptyContinuation),
        ("FROM a\nRUN b\nrun c", Rule::ConsistentInstructionCasing),
        ("FROM a AS b\nFROM c AS b", Rule::DuplicateStageName),
        ("FROM a AS scratch", Rule::ReservedStageName),
        ("FROM a\nCMD b", Rule::JSONArgsRecommended),
        ("FROM a\nMAINTAINER b", Rule::MaintainerDeprecated),
        ("FROM a\nCMD [\"b\"]\nCMD [\"c\"]", Rule::MultipleInstructionsDisallowed),
        ("FROM a\nENV b c", Rule::LegacyKeyValueFormat),
        ("FROM --platform=$TARGETPLATFORM a", Rule::RedundantTargetPlatform),
        ("FROM --platform=linux/arm64 a", Rule::FromPlatformFlagConstDisallowed),
        ("FROM a\nARG DB_PASSWORD", Rule::SecretsUsedInArgOrEnv),
        ("FROM a\nEXPOSE 80/TCP", Rule::ExposeProtoCasing),
        ("FROM a\nEXPOSE 1.2.3.4:80:80", Rule::ExposeInvalidFormat),
    ] {
        let (_, found) = Dockerfile::parse(text.as_bytes());
        assert_eq!(found.iter().filter_map(|it| it.rule).collect::<Vec<_>>(), [rule], "{text}");
        assert!(Dockerfile::parse(format!("# check=skip={rule:?}\n{text}").as_bytes()).1.is_empty(), "{text}");
        assert!(Dockerfile::parse(format!("# check=error=true\n{text}").as_bytes()).0.is_none(), "{text}");
    }
    assert!(problems("FROM a AS b\nSHELL [\"/x\"]\nCMD b\nFROM b\nARG PUBLIC_KEY\nRUN c").is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
        Dockerfile::parse(text.as_bytes());
    }

    #[test]
    fn nor_does_one_that_looks_like_a_file(lines in prop::collection::vec(
        "(FROM|RUN|COPY|ADD|ENV|ARG|ONBUILD|HEALTHCHECK|LABEL|SHELL|EXPOSE|# escape=) ?(--[a-z]{1,6}(=[a-z,=\"$]{0,8})?)? ?[ -~\\\\]{0,30}", 0..12
    )) {
        Dockerfile::parse(lines.join("\n").as_bytes());
    }

    #[test]
    fn expansion_ends_whatever_the_text(text in "[${}:/#%*?a'\"\\\\-]{0,60}") {
        let _ = expand(&text, '\\', Quotes::Removed, &|name: &str| (name == "a").then(|| "a/b.c".repeat(3)));
    }
}
