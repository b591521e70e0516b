"""Whatever the network does, a picture is stored once."""

from __future__ import annotations

import socket

import pytest

from screening.models import Lesion, LesionImage, Prediction
from tests.client.faulty import faulty_network
from tests.factories import PredictionFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

UPLOAD = "POST /api/v1/images/"
LOOK = "GET /api/v1/predictions/"


@pytest.mark.parametrize("where", ["request", "answer", "busy"])
def test_a_broken_upload_is_repeated_and_done_once(
    skincheck, live_server, lesion, pictures, worker, where
):
    with faulty_network(live_server.thread.port, {UPLOAD: where, LOOK: where}) as network:
        done = skincheck("screen", pictures[0], "--lesion", lesion.pk, port=network.port)
    assert done.returncode == 0, done.stderr
    assert network.drop == {}
    assert sum(line.startswith(UPLOAD) for line in network.seen) == 2
    assert "Trying again" in done.stderr
    assert LesionImage.objects.count() == Prediction.objects.count() == 1
    assert str(Prediction.objects.get().pk) in done.stdout


def test_a_lesion_is_opened_once(skincheck, live_server, patient, pictures, worker):
    with faulty_network(live_server.thread.port, {UPLOAD: "answer"}) as network:
        arguments = ("screen", *pictures[:2], "--patient", patient.pk)
        done = skincheck(*arguments, port=network.port)
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith(UPLOAD) for line in network.seen) == 3
    assert Lesion.objects.count() == LesionImage.objects.count() == 2
    # The same command again, whenever that is: the same lesions, the same pictures.
    assert skincheck(*arguments).returncode == 0
    assert Lesion.objects.count() == LesionImage.objects.count() == 2


def test_an_export_is_whole_or_not_there(skincheck, live_server, lesion, tmp_path):
    PredictionFactory(image__lesion=lesion)
    target = tmp_path / "readings.csv"
    target.write_text("of last week")
    with faulty_network(live_server.thread.port, {"GET": "answer"}) as network:
        assert skincheck("export", target, port=network.port).returncode == 0
    assert str(lesion.pk) in target.read_text()
    target.write_text("of last week")
    refused = skincheck("export", target, "--outcome", "healthy")
    assert (refused.returncode, "outcome" in refused.stderr) == (3, True)
    assert target.read_text() == "of last week"
    assert not list(tmp_path.glob(".readings*"))


def test_a_site_that_is_not_there_is_given_up(skincheck, pictures, lesion):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = skincheck("screen", pictures[0], "--lesion", lesion.pk, port=port)
    assert done.returncode == 4
    assert done.stderr.count("Trying again") == 5
    assert "The site does not answer" in done.stderr
