//! `config`: problems as records for programs, where values come from, and what variables do.

use rcompose_harness::{Answer, Scratch};

use crate::scratch;

const BROKEN: &str = "include: [sub/base.yaml]
services:
  web:
    imagee: nginx
    image: x
    restart: alwys
";

fn broken() -> Scratch {
    let place = scratch(BROKEN);
    std::fs::create_dir(place.project().join("sub")).expect("the folder of the test is ours");
    place.write("sub/base.yaml", "services:\n  base:\n    image: x\n    ports: 80\n");
    place
}

/// What was said, with the folder of the project as `DIR`.
fn said(place: &Scratch, answer: &Answer) -> String {
    format!("{}{}", answer.stdout, answer.stderr).replace(&place.project().display().to_string(), "DIR")
}

#[test]
fn problems_as_text() {
    let place = broken();
    let answer = place.run(&["config"]);
    assert_eq!(answer.code, 1);
    insta::assert_snapshot!(said(&place, &answer), @r#"
    DIR/sub/base.yaml:4:12: error: services.base.ports must be a list, not `80`
      |
    4 |     ports: 80
      |            ^^
    hint: make it a list: `- "80"` on a line of its own
    DIR/compose.yaml:4:5: error: services.web additional properties 'imagee' not allowed
      |
    4 |     imagee: nginx
      |     ^^^^^^
    hint: did you mean `image`?
    DIR/compose.yaml:6:14: warning: services.web.restart: unknown policy `alwys`
      |
    6 |     restart: alwys
      |              ^^^^^
    hint: did you mean `always`?
    "#);
}

#[test]
fn problems_as_records() {
    let place = broken();
    let answer = place.run(&["--diagnostics", "json", "config"]);
    assert_eq!(answer.code, 1);
    insta::assert_snapshot!(said(&place, &answer), @r#"
    {"code":"wrong-type","excerpt":"    ports: 80","hint":"make it a list: `- \"80\"` on a line of its own","message":"services.base.ports must be a list, not `80`","notes":[],"place":{"column":12,"file":"DIR/sub/base.yaml","line":4},"severity":"error","text":"80","version":1}
    {"code":"unknown-key","excerpt":"    imagee: nginx","hint":"did you mean `image`?","message":"services.web additional properties 'imagee' not allowed","notes":[],"place":{"column":5,"file":"DIR/compose.yaml","line":4},"severity":"error","text":"imagee","version":1}
    {"code":"invalid-value","excerpt":"    restart: alwys","hint":"did you mean `always`?","message":"services.web.restart: unknown policy `alwys`","notes":[],"place":{"column":14,"file":"DIR/compose.yaml","line":6},"severity":"warning","text":"alwys","version":1}
    "#);
    place.write("compose.yaml", "services: {web: {image: 'x$NONE', restart: alwys}}\n");
    let answer = place.run(&["--diagnostics", "json", "config", "-q"]);
    assert_eq!(answer.code, 0);
    insta::assert_snapshot!(said(&place, &answer), @r#"
    {"code":"unset-variable","excerpt":"services: {web: {image: 'x$NONE', restart: alwys}}","hint":null,"message":"The \"NONE\" variable is not set. Defaulting to a blank string.","notes":[],"place":{"column":28,"file":"DIR/compose.yaml","line":1},"severity":"warning","text":"NONE","version":1}
    {"code":"invalid-value","excerpt":"services: {web: {image: 'x$NONE', restart: alwys}}","hint":"did you mean `always`?","message":"services.web.restart: unknown policy `alwys`","notes":[],"place":{"column":44,"file":"DIR/compose.yaml","line":1},"severity":"warning","text":"alwys","version":1}
    "#);
}

#[test]
fn problems_as_sarif() {
    let place = broken();
    let answer = place.run(&["--diagnostics", "sarif", "config"]);
    assert_eq!(answer.code, 1);
    let text = said(&place, &answer).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    insta::assert_snapshot!(format!("{record:#}"), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "results": [
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "file://DIR/sub/base.yaml"
                    },
                    "region": {
                      "endColumn": 14,
                      "startColumn": 12,
                      "startLine": 4
                    }
                  }
                }
              ],
              "message": {
                "text": "services.base.ports must be a list, not `80`\nhint: make it a list: `- \"80\"` on a line of its own"
              },
              "relatedLocations": [],
              "ruleId": "wrong-type"
            },
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "file://DIR/compose.yaml"
                    },
                    "region": {
                      "endColumn": 11,
                      "startColumn": 5,
                      "startLine": 4
                    }
                  }
                }
              ],
              "message": {
                "text": "services.web additional properties 'imagee' not allowed\nhint: did you mean `image`?"
              },
              "relatedLocations": [],
              "ruleId": "unknown-key"
            },
            {
              "level": "warning",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "file://DIR/compose.yaml"
                    },
                    "region": {
                      "endColumn": 19,
                      "startColumn": 14,
                      "startLine": 6
                    }
                  }
                }
              ],
              "message": {
                "text": "services.web.restart: unknown policy `alwys`\nhint: did you mean `always`?"
              },
              "relatedLocations": [],
              "ruleId": "invalid-value"
            }
          ],
          "tool": {
            "driver": {
              "name": "rcompose",
              "rules": [
                {
                  "id": "wrong-type"
                },
                {
                  "id": "unknown-key"
                },
                {
                  "id": "invalid-value"
                }
              ],
              "version": "VERSION"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    "#);
}

#[test]
fn where_values_come_from() {
    let place = scratch(
        "name: shop\ninclude: [sub/base.yaml]\nx-log: &log {driver: local}\nservices:\n  web:\n    extends: base\n    \
         logging: *log\n    command: |\n      one\n      two\n    environment: [\"TAG=${TAG:-1}\"]\n",
    );
    std::fs::create_dir(place.project().join("sub")).unwrap();
    place.write("sub/base.yaml", "services:\n  base:\n    image: x\n    env_file: v.env\n");
    place.write("sub/v.env", "# mine\nV=1\n");
    let answer = place.run(&["config", "--origin"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    insta::assert_snapshot!(said(&place, &answer), @r#"
    name: shop              # compose.yaml:1:7
    services:               # sub/base.yaml:2:3, include compose.yaml:2:11
      base:                 # sub/base.yaml:2:3, include compose.yaml:2:11
        environment:        # sub/base.yaml:3:5, include compose.yaml:2:11
          V: "1"            # sub/v.env:2:1
        image: x            # sub/base.yaml:3:12, include compose.yaml:2:11
        networks:           # sub/base.yaml:3:5, include compose.yaml:2:11
          default: null     # sub/base.yaml:3:5, include compose.yaml:2:11
      web:                  # compose.yaml:5:3
        command:            # compose.yaml:8:5
          - one             # compose.yaml:9:7
          - two             # compose.yaml:9:7
        environment:        # compose.yaml:11:5
          TAG: "1"          # compose.yaml:11:19
          V: "1"            # sub/v.env:2:1
        image: x            # sub/base.yaml:3:12, extends compose.yaml:6:14, include compose.yaml:2:11
        logging:            # compose.yaml:7:5
          driver: local     # compose.yaml:3:22, alias compose.yaml:7:14
        networks:           # sub/base.yaml:3:5, extends compose.yaml:6:14, include compose.yaml:2:11
          default: null     # sub/base.yaml:3:5, extends compose.yaml:6:14, include compose.yaml:2:11
    networks:               # compose.yaml:1:1
      default:              # compose.yaml:1:1
        name: shop_default  # compose.yaml:1:1
    x-log:                  # compose.yaml:3:1
      driver: local         # compose.yaml:3:22
    "#);
}

#[test]
fn values_behind_long_names_keep_their_places() {
    let name = "n".repeat(1_200);
    let place = scratch(&format!(
        "name: shop\nservices:\n  web:\n    image: x\n    labels:\n      ? {name}\n      : one\n      o: two\n    user: me\n"
    ));
    let answer = place.run(&["config", "--origin"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let of = |line: &str| answer.stdout.lines().find(|it| it.trim_start().starts_with(line)).unwrap_or_default().to_owned();
    assert!(of("o: two").ends_with("# compose.yaml:8:10"), "{}", answer.stdout);
    assert!(of("user: me").ends_with("# compose.yaml:9:11"), "{}", answer.stdout);
    place.write("compose.yaml", &format!("services:\n  web:\n    {name}: one\n"));
    let answer = place.run(&["config"]);
    assert!(
        answer.stderr.contains("compose.yaml:3:5: error: invalid YAML: a name of more than 1024 characters"),
        "{}",
        answer.stderr
    );
}

#[test]
fn what_variables_do() {
    let mut place =
        scratch("services: {web: {image: 'x:${TAG:-1}', labels: ['a=$DB_PASSWORD', 'b=${NONE:?say it}', 'c=${TAG:+t}']}}\n");
    place.set("TAG", "mine");
    place.write(".env", "TAG=theirs\nDB_PASSWORD=hunter2\n");
    let answer = place.run(&["config", "--variables"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(!answer.stdout.contains("hunter2"), "{}", answer.stdout);
    insta::assert_snapshot!(said(&place, &answer), @r"
    NAME          REQUIRED   DEFAULT VALUE   ALTERNATE VALUE   VALUE       SET BY        SHADOWS           USED AT
    DB_PASSWORD   false                                        ****        .env:2                          compose.yaml:1:49
    NONE          true                                         (not set)                                   compose.yaml:1:67
    TAG           false      1               t                 mine        environment   .env:1 (theirs)   compose.yaml:1:25, compose.yaml:1:88
    ");
}
