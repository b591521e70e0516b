"""Pages of a clinic's DICOM nodes, and sending pictures there."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Clinic
from accounts.recent_log_in import recent_log_in_to_post
from accounts.services import require_clinic_admin
from screening.errors import Busy
from screening.interop.dicomweb import nodes, sending
from screening.models import DicomDelivery, DicomNode, Lesion
from screening.web.forms.dicom_nodes import DicomNodeForm, SendForm
from screening.web.forms.submit import carry_out, submit
from screening.web.views.requests import UserRequest

DELIVERIES_A_PAGE = 25


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def new(request: UserRequest, pk: UUID) -> HttpResponse:
    clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
    require_clinic_admin(user=request.user, clinic=clinic)
    form = DicomNodeForm(request.POST or None)
    if request.method == "POST":
        node = submit(form, nodes.add_node, user=request.user, clinic=clinic)
        if node is not None:
            messages.success(request, "The DICOM node is added. Test whether it answers.")
            return redirect("dicom_node", node.pk)
    return render(request, "screening/dicom_node_form.html", {"form": form, "clinic": clinic})


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def edit(request: UserRequest, pk: UUID) -> HttpResponse:
    node = _node(request, pk)
    form = DicomNodeForm(request.POST or None, record=node)
    if request.method == "POST":
        saved = submit(form, nodes.edit_node, user=request.user, node=node)
        if saved is not None:
            return redirect("dicom_node", pk)
    context = {"form": form, "node": node, "clinic": node.clinic}
    return render(request, "screening/dicom_node_form.html", context)


@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    node = _node(request, pk)
    log = DicomDelivery.objects.visible_to(request.user).filter(node=node)
    log = log.select_related("image__lesion__patient", "sent_by")
    page = Paginator(log, DELIVERIES_A_PAGE).get_page(request.GET.get("page"))
    context = {"node": node, "clinic": node.clinic, "page": page}
    return render(request, "screening/dicom_node.html", context)


@require_POST
def test(request: UserRequest, pk: UUID) -> HttpResponse:
    try:
        tested = nodes.test_node(user=request.user, node=_node(request, pk))
    except Busy:
        messages.error(request, "Another node is being tested. Try again in a few seconds.")
    else:
        tell = messages.success if tested.answers else messages.error
        tell(request, tested.message)
    return redirect("dicom_node", pk)


@require_POST
def remove(request: UserRequest, pk: UUID) -> HttpResponse:
    node = _node(request, pk)
    nodes.remove_node(user=request.user, node=node)
    messages.success(request, f"The DICOM node “{node}” is removed.")
    return redirect("clinic", node.clinic_id)


@require_POST
def send(request: UserRequest, pk: UUID) -> HttpResponse:
    """Send the lesion's pictures to the chosen node."""
    visible = Lesion.objects.visible_to(request.user).select_related("patient")
    lesion = get_object_or_404(visible, pk=pk)
    form = SendForm(request.POST, user=request.user, lesion=lesion)
    made = submit(form, sending.send, user=request.user, lesion=lesion)
    if made is None:
        messages.error(request, str(next(iter(form.errors.values()))[0]))
    elif made:
        noun = "picture is" if len(made) == 1 else "pictures are"
        messages.success(request, f"{len(made)} {noun} on the way.")
    else:
        messages.success(request, "Every picture is on its way there already.")
    return redirect("lesion", pk)


@require_POST
def send_again(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = DicomDelivery.objects.visible_to(request.user)
    found = visible.select_related("node", "image__lesion__patient")
    delivery = get_object_or_404(found, pk=pk)
    carry_out(request, sending.send_again, "It is being sent again.", delivery=delivery)
    return redirect("lesion", delivery.image.lesion_id)


def _node(request: UserRequest, pk: UUID) -> DicomNode:
    managed = DicomNode.objects.managed_by(request.user).select_related("clinic")
    return get_object_or_404(managed, pk=pk)
