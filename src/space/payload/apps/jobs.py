# The page "marimo jobs". Its logic is in python/sagemaker_marimo/jobs_page.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="marimo jobs")


@app.cell
def _():
    import sys
    from pathlib import Path

    import marimo as mo

    sys.path.append(str(Path(__file__).parents[1] / "python"))

    from botocore.exceptions import BotoCoreError, ClientError

    from sagemaker_marimo import state
    from sagemaker_marimo.jobs import sender
    from sagemaker_marimo.jobs.settings import Refused
    from sagemaker_marimo.jobs.sweep import SweepError
    from sagemaker_marimo.jobs_page import again, marimo_job, output, view
    from sagemaker_marimo.jobs_page.session import MINE, Session, chosen_notebook
    from sagemaker_marimo.jobs_page.watch import Watch

    return (
        BotoCoreError,
        ClientError,
        MINE,
        Refused,
        Session,
        SweepError,
        Watch,
        again,
        chosen_notebook,
        marimo_job,
        mo,
        output,
        sender,
        state,
        view,
    )


@app.cell
def _(BotoCoreError, ClientError, Refused, SweepError, mo, view):
    problems = (Refused, SweepError, ClientError, BotoCoreError, OSError, ValueError)

    def callout(text, kind="danger"):
        return mo.callout(mo.Html(view.text(str(text))), kind=kind)

    def answered(answer):
        """What marimo-job said, red if it refused."""
        text = "\n".join(one for one in (answer.messages, answer.output) if one)
        return callout(text or "Done", "success" if answer.status == 0 else "danger")

    return answered, callout, problems


@app.cell
def _(Session, callout, mo, problems):
    try:
        session, failure = Session.open(), None
    except problems as error:
        session, failure = None, error
    mo.stop(session is None, callout(failure))
    return (session,)


@app.cell
def _(mo):
    # The buttons that set the number are in a cell that shows it.
    get_number, set_number = mo.state(0, allow_self_loops=True)
    get_chosen, set_chosen = mo.state(None)
    return get_chosen, get_number, set_chosen, set_number


@app.cell
def _(MINE, mo, session, set_number):
    whose = mo.ui.dropdown(
        list(session.prefixes), value=MINE, label="Show", on_change=lambda _: set_number(0)
    )
    refresh = mo.ui.button(
        value=0, on_click=lambda value: value + 1, on_change=lambda _: set_number(0), label="Refresh"
    )
    count = mo.ui.run_button(label="Count this month's cost")
    mo.vstack(
        [
            mo.md(f"# marimo jobs\nof the environment **{session.environment.name}**"),
            mo.hstack([whose, refresh, count], justify="start", wrap=True),
        ]
    )
    return count, refresh, whose


@app.cell
def _(callout, count, mo, problems, session, whose):
    mo.stop(not count.value)
    with mo.status.spinner(title="Reading the jobs of this month …") as spinner:
        try:
            month = session.costs.month(
                session.clients.sagemaker,
                session.prefixes[whose.value],
                session.now(),
                lambda done, of: spinner.update(subtitle=f"{done} of {of}"),
            )
            unknown = f", without {month.unknown} jobs of unknown cost" if month.unknown else ""
            shown = mo.stat(
                f"{month.dollars:.2f} USD",
                label=f"This month so far ({whose.value})",
                caption=f"{month.jobs} jobs{unknown}; public prices, without storage",
            )
        except problems as error:
            shown = callout(error)
    shown
    return


@app.cell
def _(chosen_notebook, mo, problems):
    try:
        asked, not_asked = chosen_notebook(mo.query_params().get("notebook")), None
    except problems as error:
        asked, not_asked = None, error
    return asked, not_asked


@app.cell
def _(asked, callout, mo, not_asked, session, state):
    # Made and shown in one cell, which therefore does not run again when one of them changes.
    files = mo.ui.file_browser(
        initial_path=str(state.HOME), filetypes=[".py"], multiple=False, limit=500, label="Notebook"
    )
    arguments = mo.ui.text(placeholder="--city Berlin", label="Arguments", full_width=True)
    instance = mo.ui.dropdown(
        session.instances(), value=session.environment.instance, label="Instance", searchable=True
    )
    minutes = mo.ui.number(
        start=1,
        stop=session.environment.max_minutes,
        value=session.environment.max_minutes,
        label="Time limit in minutes",
    )
    options = mo.ui.text(placeholder="--with data.csv", label="Further options", full_width=True)
    check = mo.ui.run_button(label="Check")
    start = mo.ui.run_button(label="Start the job", kind="success")
    form = [
        mo.accordion({"Another notebook": files}) if asked else files,
        arguments,
        mo.hstack([instance, minutes], justify="start", wrap=True),
        options,
        mo.hstack([check, start], justify="start"),
    ]
    if asked:
        shown_form = mo.vstack([mo.md("### Start a job"), *form])
    else:
        refused = [callout(not_asked)] if not_asked else []
        shown_form = mo.vstack([*refused, mo.accordion({"Start a job": mo.vstack(form)})])
    shown_form
    return arguments, check, files, instance, minutes, options, start


@app.cell
def _(arguments, asked, files, instance, marimo_job, minutes, mo, options, view):
    path = files.path(0) if files.value else asked
    wanted = path and marimo_job.Wanted(path, arguments.value, options.value, instance.value, minutes.value)
    mo.md(f"Notebook: **`{view.short(path)}`**" if path else "")
    return (wanted,)


@app.cell
def _(answered, callout, check, mo, problems, set_chosen, start, wanted):
    mo.stop(not (check.value or start.value))
    mo.stop(wanted is None, callout("Choose a notebook first.", "warn"))
    with mo.status.spinner(title="Checking the notebook …"):
        try:
            sent = wanted.start() if start.value else wanted.check()
            shown_start = answered(sent)
            if start.value and sent.status == 0 and isinstance(sent.facts, dict):
                if "job" in sent.facts:
                    set_chosen((sent.facts["job"], sent.facts.get("kind", "processing")))
                else:
                    set_chosen((sent.facts["sweep"], "sweep"))
        except problems as error:
            shown_start = callout(error)
    shown_start
    return


@app.cell
def _(marimo_job, mo):
    mo.stop(not marimo_job.has_schedules())
    cron = mo.ui.text(placeholder="0 7 * * MON-FRI", label="Times (cron)")
    zone = mo.ui.text(value="UTC", label="Time zone")
    plan = mo.ui.run_button(label="Schedule the notebook above")
    list_schedules = mo.ui.run_button(label="Show my schedules")
    form_of_schedules = mo.vstack(
        [
            mo.hstack([cron, zone], justify="start", wrap=True),
            mo.hstack([plan, list_schedules], justify="start", wrap=True),
        ]
    )
    mo.accordion({"Schedules": form_of_schedules})
    return cron, list_schedules, plan, zone


@app.cell
def _(answered, callout, cron, list_schedules, marimo_job, mo, plan, problems, wanted, zone):
    mo.stop(not (plan.value or list_schedules.value))
    mo.stop(plan.value and wanted is None, callout("Choose a notebook first.", "warn"))
    try:
        said = wanted.schedule(cron.value, zone.value) if plan.value else None
        mine = marimo_job.run("schedules", "--json")
        schedules = mo.ui.table(
            mine.facts or [], selection="single", pagination=True, page_size=20, show_download=False
        )
        shown_schedules = mo.vstack(
            [
                *([answered(said)] if said else []),
                schedules if mine.status == 0 else answered(mine),
            ]
        )
    except problems as error:
        schedules, shown_schedules = None, callout(error)
    shown_schedules
    return (schedules,)


@app.cell
def _(mo, schedules):
    mo.stop(schedules is None or not schedules.value)
    pause = mo.ui.run_button(label="Pause")
    go_on = mo.ui.run_button(label="Continue")
    unschedule = mo.ui.run_button(label="Delete the schedule", kind="danger")
    runs = mo.ui.run_button(label="Last runs")
    mo.hstack([runs, pause, go_on, unschedule], justify="start", wrap=True)
    return go_on, pause, runs, unschedule


@app.cell
def _(answered, go_on, marimo_job, mo, pause, runs, schedules, unschedule):
    of_schedule = {"pause": pause, "resume": go_on, "unschedule": unschedule, "schedules": runs}
    verb = next((one for one, button in of_schedule.items() if button.value), None)
    mo.stop(verb is None)
    answered(marimo_job.run(verb, schedules.value[0]["schedule"]))
    return


@app.cell
def _(refresh, session, whose):
    refresh.value  # reads the lists anew
    session.show(session.prefixes[whose.value])
    shown_prefix = session.prefix
    return (shown_prefix,)


@app.cell
def _(callout, get_number, mo, problems, session, set_chosen, shown_prefix):
    shown_prefix
    try:
        found, failed = session.lines(get_number()), None
    except problems as error:
        found, failed = [], error
    empty = "There are no older jobs." if get_number() else "You have no jobs yet."
    notes = [callout(one, "warn") for one in session.pages.problems] if failed is None else [callout(failed)]
    # A table without rows has no columns to format.
    mo.stop(not found, mo.vstack([*notes, mo.md("" if failed else empty)]))
    jobs = mo.ui.table(
        [line.cells for line in found],
        selection="single",
        pagination=False,
        show_column_summaries=False,
        show_data_types=False,
        show_download=False,
        show_search=False,
        wrapped_columns=["Name", "Status"],
        on_change=lambda rows: set_chosen((rows[0]["Name"], rows[0]["Kind"]) if rows else None),
    )
    mo.vstack([*notes, jobs])
    return


@app.cell
def _(get_number, mo, session, set_number, shown_prefix):
    shown_prefix
    number = get_number()
    newer = mo.ui.button(
        label="Newer", disabled=number == 0, on_change=lambda _: set_number(lambda n: max(0, n - 1))
    )
    older = mo.ui.button(
        label="Older",
        disabled=not session.pages.has_more(number),
        on_change=lambda _: set_number(lambda n: n + 1),
    )
    mo.hstack([newer, mo.md(f"Page {number + 1}"), older], justify="start", align="center")
    return


@app.cell
def _(get_chosen, mo):
    mo.stop(get_chosen() is None, mo.md("Choose a job to see its log, page and files."))
    name, kind = get_chosen()
    stop = mo.ui.run_button(label="Stop", kind="danger")
    fetch = mo.ui.run_button(label="Get the page and files")
    resume = mo.ui.run_button(label="Continue the sweep")
    buttons = [stop, resume] if kind == "sweep" else [stop, fetch]
    mo.vstack([mo.md(f"## {name}"), mo.hstack(buttons, justify="start", wrap=True)])
    return fetch, kind, name, resume, stop


@app.cell
def _(answered, marimo_job, mo, name, resume, stop):
    mo.stop(not (stop.value or resume.value))
    with mo.status.spinner(title="Asking AWS …"):
        done = marimo_job.run("stop", name) if stop.value else marimo_job.run("resume", name, "--detach")
    answered(done)
    return


@app.cell
def _(callout, fetch, kind, mo, name, output, problems, session, view):
    from sagemaker_marimo.jobs_page import job as job_module

    mo.stop(not fetch.value)
    try:
        description = job_module.describe(session.clients.sagemaker, name, kind)
        stored = output.stored(session.clients.s3, description)
        with mo.status.spinner(title=f"Getting {stored} …"):
            fetched = output.links(description, output.download(session.clients.s3, description))
        text = f"In `{output.folder(description)}`:" if fetched else "The job has no output yet."
        got = mo.vstack([mo.md(text), mo.Html(view.links(fetched))])
    except (*problems, KeyError) as error:
        got = callout(error)
    got
    return


@app.cell
def _(Watch, callout, kind, mo, name, problems, session, view):
    mo.stop(kind == "sweep")
    watch = Watch(session, name, kind)
    try:
        watch.read()
        unread = None
    except problems as error:
        unread = error
    mo.stop(unread is not None, callout(unread))

    def show():
        notes = [callout(watch.problem, "warn")] if watch.problem else []
        reason = [callout(watch.reason)] if watch.reason else []
        training = [mo.Html(view.text(watch.notes))] if watch.notes else []
        mo.output.replace(
            mo.vstack(
                [
                    *notes,
                    mo.hstack(
                        [mo.stat(watch.status, label="Status"), mo.stat(watch.cost, label="Cost so far")],
                        justify="start",
                        wrap=True,
                    ),
                    *training,
                    *reason,
                    mo.Html(view.log(watch.lines)),
                ]
            )
        )

    def target():
        thread = mo.current_thread()
        watch.follow(show, lambda: thread.should_exit)

    show()
    # Not mo.ui.refresh: its requests would count as the person's work, and the space would never be idle.
    if not watch.has_ended:
        mo.Thread(target=target, daemon=True).start()
    return (watch,)


@app.cell
def _(callout, kind, mo, name, problems, session, view):
    mo.stop(kind != "sweep")
    from sagemaker_marimo.jobs import sweep_command

    try:
        current = session.sweep(name)
        progress = current.progress()
        lines = [f"{progress.state}, {progress}", *sweep_command.failed_rows(current)]
        lines += [f"Its table: {current.store.uri(name)}/table.csv"] if current.plan.finished else []
        shown_sweep = mo.Html(view.text("\n".join(lines)))
    except problems as error:
        shown_sweep = callout(error)
    shown_sweep
    return


@app.cell
def _(again, mo, session, watch):
    import shlex

    mo.stop(not again.is_possible(watch.description))
    own_instance = watch.description["ProcessingResources"]["ClusterConfig"]["InstanceType"]
    new_arguments = mo.ui.text(
        value=shlex.join(again.arguments(watch.description)), label="Arguments", full_width=True
    )
    new_instance = mo.ui.dropdown(
        session.instances(own_instance), value=own_instance, label="Instance", searchable=True
    )
    new_minutes = mo.ui.number(
        start=1,
        stop=session.environment.max_minutes,
        value=min(again.minutes(watch.description), session.environment.max_minutes),
        label="Time limit in minutes",
    )
    run_again = mo.ui.run_button(label="Run again", kind="success")
    mo.accordion(
        {
            "Run the same notebook again": mo.vstack(
                [new_arguments, mo.hstack([new_instance, new_minutes], justify="start", wrap=True), run_again]
            )
        }
    )
    return new_arguments, new_instance, new_minutes, run_again, shlex


@app.cell
def _(
    again,
    callout,
    kind,
    mo,
    new_arguments,
    new_instance,
    new_minutes,
    problems,
    run_again,
    sender,
    session,
    set_chosen,
    shlex,
    watch,
):
    mo.stop(not run_again.value)
    try:
        new = again.run(
            session.clients,
            session.environment,
            sender.find(session.environment, None),
            watch.description,
            arguments=shlex.split(new_arguments.value),
            instance=new_instance.value,
            minutes=int(new_minutes.value),
        )
        set_chosen((new, kind))
        shown_new = callout(f"{new} was created", "success")
    except problems as error:
        shown_new = callout(error)
    shown_new
    return


if __name__ == "__main__":
    app.run()
