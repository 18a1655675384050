"""One click to a first dataset."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from datasets import samples
from smartml.htmx import UserRequest, goto


@login_required
@require_POST
def sample(request: UserRequest, slug: str) -> HttpResponse:
    """Store a sample and go to its page; one that the person has already is shown instead."""
    dataset, was_there = samples.load_sample(user_id=request.user.id, slug=slug)
    if was_there:
        messages.info(request, "You have this sample already: here it is.")
    return goto(request, reverse("datasets:detail", args=[dataset.id]))
