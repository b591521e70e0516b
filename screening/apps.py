from django.apps import AppConfig


class ScreeningConfig(AppConfig):
    name = "screening"

    def ready(self) -> None:
        from skincheck_site import checks  # noqa: F401  registers the system checks
