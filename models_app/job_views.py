"""Asking for a training and watching it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts import tickets
from datasets import profiles
from datasets import services as datasets
from datasets.previews import sole_reader
from datasets.records import Dataset
from ml.options import METRICS
from ml.problem import ProblemType
from models_app import news, services
from models_app.figures import FigureView
from models_app.forms import PRESETS, TrainForm
from models_app.presenters import metric_label, present_job
from models_app.progress_figure import progress_figure
from models_app.records import Job, JobSettings, Model
from models_app.setup_form import setup_initial
from models_app.setup_presenter import other_problems
from models_app.training_limits import memory_limit
from smartml.errors import InvalidInput, InvalidTarget
from smartml.htmx import UserRequest, announce, goto, wants_fragment
from storage.ids import is_id, new_id


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def train(request: UserRequest, dataset_id: str) -> HttpResponse:
    """The training form; posting it queues one job, however often it is posted."""
    dataset = datasets.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    model = _model_to_retrain(request)
    columns = datasets.columns_of(dataset=dataset)
    if request.method != "POST":
        initial = _initial(request, dataset, model, columns) | {"ticket": _ticket(request)}
        return _train_page(request, dataset, model, TrainForm(columns=columns, initial=initial))
    form = TrainForm(request.POST, columns=columns)
    try:
        job = _request_training(request, dataset, model, form)
    except tickets.StaleTicket as error:
        form.add_error(None, error.message)
        form.renew(_ticket(request))
    except services.FormAlreadyUsed as error:
        form.renew(_ticket(request))
        return _train_page(request, dataset, model, form, status=error.status, used=error)
    except InvalidInput as error:
        form.add_service_error(error)
        return _train_page(request, dataset, model, form, status=error.status)
    else:
        if job is not None:
            return goto(request, reverse("models:job", args=[job.id]))
    return _train_page(request, dataset, model, form, status=422)


def _ticket(request: UserRequest) -> str:
    return tickets.issue(user_id=request.user.id, purpose="training")


def _request_training(request: UserRequest, dataset: Dataset, model: Model | None, form: TrainForm) -> Job | None:
    """The job that was asked for, or None when the form has faults."""
    ticket = request.POST.get("ticket", "")
    job_id = tickets.redeem(ticket, user_id=request.user.id, purpose="training")
    if not form.is_valid():
        return None
    return services.request_training(
        user_id=request.user.id,
        dataset=dataset,
        job_id=job_id,
        settings=form.job_settings(),
        model_name=form.cleaned_data["model_name"],
        model_id=model.id if model else None,
    )


def _model_to_retrain(request: UserRequest) -> Model | None:
    """The model named by ``model_id`` in the form or ``model`` in the address; somebody else's is a 404."""
    model_id = request.POST.get("model_id", "") or request.GET.get("model", "")
    if not model_id:
        return None
    return services.get_model(user_id=request.user.id, model_id=model_id if is_id(model_id) else new_id())


def _initial(
    request: UserRequest, dataset: Dataset, model: Model | None, columns: tuple[str, ...]
) -> dict[str, object]:
    """Prefill: the settings of an earlier version or training, else the dataset's chosen target; then what the
    address asks for: ``target``, columns to ``leave_out`` besides those left out before, ``answer_ms``.
    Columns that give the target away are left out to begin with."""
    initial: dict[str, object] = {"target": dataset.target_column or ""}
    if (earlier := _earlier_settings(request, model)) is not None:
        initial |= setup_initial(earlier, columns)
        initial |= {"target": earlier.target, "preset": earlier.preset.value, "time_limit": earlier.time_limit}
    if model is not None:
        initial |= {"model_id": model.id, "model_name": model.name}
    if (asked := request.GET.get("target", "")) in columns:
        initial["target"] = asked
    if asked := request.GET.get("answer_ms", ""):
        # As it was asked for: what cannot be taken is refused at its field, like anything else that is typed there.
        initial["answer_ms"] = asked
    left_out = {*request.GET.getlist("leave_out"), *(earlier.leave_out if earlier else ())}
    # Whoever trains again has seen them, and decided.
    initial["suspects_of"] = earlier.target if earlier else ""
    if earlier is None and initial["target"] in columns:
        suspects = profiles.suspects(dataset=dataset, target=str(initial["target"]))
        left_out |= {*suspects}
        initial["suspects_of"] = initial["target"] if suspects else ""
    initial["leave_out"] = [name for name in columns if name in left_out and name != initial["target"]]
    return initial


def _earlier_settings(request: UserRequest, model: Model | None) -> JobSettings | None:
    """Those of the ``version`` of the model (the last one unless it is named), or of the training ``like``."""
    if model is not None:
        number = request.GET.get("version", "")
        version = model.get_version(int(number)) if number.isdecimal() and len(number) < 10 else None
        return (version or model.versions[-1]).asked
    job_id = request.GET.get("like", "")
    if not job_id:
        return None
    return services.get_job(user_id=request.user.id, job_id=job_id if is_id(job_id) else new_id()).settings


def _train_page(
    request: UserRequest,
    dataset: Dataset,
    model: Model | None,
    form: TrainForm,
    status: int = 200,
    used: services.FormAlreadyUsed | None = None,
) -> HttpResponse:
    template = "models_app/_train_form.html" if wants_fragment(request) else "models_app/train.html"
    context = {"dataset": dataset, "model": model, "form": form, "presets": PRESETS, "used": used}
    return render(request, template, context, status=status)


@login_required
@require_GET
@never_cache
def train_target(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: what kind of question the chosen target asks, or why nothing can be learned from it."""
    dataset = datasets.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    target, wanted = request.GET.get("target", ""), request.GET.get("problem_type", "")
    context: dict[str, object] = {"dataset": dataset, "target": target, "query": request.GET.urlencode()}
    with sole_reader(dataset=dataset) as sole:
        if target and not sole:
            context["waiting"] = True
        elif target:
            try:
                known = ProblemType(wanted) if wanted in list(ProblemType) else None
                decision = services.check_target(dataset=dataset, target=target, wanted=known)
            except InvalidTarget as error:
                context["refusal"] = error
            else:
                context |= {"decision": decision, "others": other_problems(decision)}
                context |= _metric_field(request, decision.problem_type)
    return render(request, "models_app/_target.html", context)


def _metric_field(request: UserRequest, problem_type: ProblemType) -> dict[str, object]:
    """The choice of metrics that fit the question; where the chosen one does not, its name, and the field stays."""
    chosen = request.GET.get("metric", "")
    if chosen and chosen not in METRICS[problem_type]:
        return {"unfit_metric": chosen}
    form = TrainForm(columns=(), initial={"metric": chosen})
    form.narrow_metrics(problem_type)
    return {"form": form}


@login_required
@require_GET
def job_list(request: UserRequest) -> HttpResponse:
    """All trainings of this person, newest first."""
    page = services.list_jobs(user_id=request.user.id, cursor=request.GET.get("cursor"))
    jobs = [present_job(job, now=timezone.now()) for job in page.items]
    context = {"jobs": jobs, "next_cursor": page.next_cursor, "unseen": news.unseen(user_id=request.user.id)}
    return render(request, "models_app/jobs.html", context)


@login_required
@require_GET
@never_cache
def job_detail(request: UserRequest, job_id: str) -> HttpResponse:
    """The live page of one training."""
    job = services.get_job(user_id=request.user.id, job_id=job_id)
    news.seen(job)
    return render(request, "models_app/job.html", _job_context(job) | {"view": _figure(job)})


@login_required
@require_GET
@never_cache
def job_progress(request: UserRequest, job_id: str) -> HttpResponse:
    """The part of the live page that polls; a finished job carries no trigger."""
    job = services.get_job(user_id=request.user.id, job_id=job_id)
    news.seen(job)
    response = render(request, "models_app/_job_polled.html", _job_context(job))
    if request.GET.get("models", "") != str(len(job.leaderboard)):
        announce(response, "job-models")
    return response


@login_required
@require_GET
@never_cache
def job_figure(request: UserRequest, job_id: str) -> HttpResponse:
    """Fragment: the score over time, asked for again whenever a model is done."""
    job = services.get_job(user_id=request.user.id, job_id=job_id)
    return render(request, "models_app/_job_figure.html", {"job": {"job": job}, "view": _figure(job)})


def _figure(job: Job) -> FigureView | None:
    if job.metric is None:
        return None
    return progress_figure(job.leaderboard, metric=job.metric, label=metric_label(job.metric))


@login_required
@require_POST
def job_cancel(request: UserRequest, job_id: str) -> HttpResponse:
    """Ask the job to stop; nothing of it is kept."""
    job = services.cancel_job(user_id=request.user.id, job_id=job_id)
    if wants_fragment(request):
        return render(request, "models_app/_job_polled.html", _job_context(job))
    return goto(request, reverse("models:job", args=[job.id]))


@login_required
@require_POST
def job_stop(request: UserRequest, job_id: str) -> HttpResponse:
    """Ask the job to fit no more and to keep the best it has."""
    job = services.stop_job(user_id=request.user.id, job_id=job_id)
    if wants_fragment(request):
        return render(request, "models_app/_job_polled.html", _job_context(job))
    return goto(request, reverse("models:job", args=[job.id]))


def _job_context(job: Job) -> dict[str, object]:
    position = services.queue_position(job=job)
    return {
        "job": present_job(job, now=timezone.now(), queue_position=position, memory_limit=memory_limit()),
        "has_dataset": datasets.has_dataset(user_id=job.user_id, dataset_id=job.dataset_id),
        "has_model": not job.status.is_over
        or services.has_model(user_id=job.user_id, model_id=job.model_id, version=job.version),
    }
