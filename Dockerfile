# One image for web, worker, beat and the one-shot set-up. No TensorFlow: the workers read with LiteRT.
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VAR_DIR=/srv/var
RUN useradd --system --uid 10001 --no-create-home skincheck \
    && install -d -o skincheck -g skincheck /srv/var /srv/var/uploads
WORKDIR /srv/skincheck

COPY requirements-serve.lock .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-serve.lock

COPY . .
USER skincheck
# A placeholder key that signs nothing, so that the build leaves no generated key in the image.
RUN SECRET_KEY=only-for-the-build ENCRYPT_AT_REST=0 python manage.py collectstatic --no-input --skip-checks

EXPOSE 8000
CMD ["python", "-m", "skincheck_site.serve", "0.0.0.0:8000"]
