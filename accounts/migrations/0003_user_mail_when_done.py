from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_kaggletoken")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="mail_when_done",
            field=models.BooleanField(default=True, verbose_name="mail me when a training has ended"),
        ),
    ]
