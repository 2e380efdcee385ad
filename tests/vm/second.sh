# What has to hold after the power was gone: the data root is as the disk had it, everything else is new.
cd /stack/second || exit
check the_first_command_answers rcompose ps -a
check what_always_runs_runs until_true runs always
check what_nobody_stopped_runs until_true runs unless
check what_always_runs_does_not_stay_stopped until_true runs stopped-always
check what_failed_with_its_machine_runs until_true runs failing
check what_was_stopped_stays_so is "$(rcompose ps -q --status running stopped-unless)" ""
check what_never_restarts_has_ended ended plain 255
check volumes_are_there is "$(inside always 'cat /data/file')" kept
check names_are_found holds "$(inside always 'nslookup unless 127.0.0.11')" "Address"
check a_port_is_published holds "$(rcompose port unless 80)" ":8080"
check nothing_is_to_be_done_but_for_what_stands_still rcompose --progress plain up -d
check everything_runs is "$(rcompose ps -q --status running | wc -l)" 6
check goes_away rcompose --progress plain down -v -t 0
nothing_is_left
echo "== the end"
poweroff -f
