"""Forms of signing in and of a person's own account."""

from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from billing.accounts import passwords


class SignInForm(FlaskForm):
    """E-mail address and password; one message for all failures."""

    login = StringField("E-mail address", [InputRequired("Enter your e-mail address."), Length(max=254)])
    password = PasswordField(
        "Password",
        [InputRequired("Enter your password."), Length(max=passwords.LENGTH_MAX, message="That is too long.")],
    )


class CodeForm(FlaskForm):
    """A code of the authenticator app, or a recovery code."""

    code = StringField("Code", [InputRequired("Enter a code."), Length(max=60, message="That is too long.")])


class VerifyPasswordForm(FlaskForm):
    """The password of somebody who is signed in."""

    password = PasswordField(
        "Password",
        [InputRequired("Enter your password."), Length(max=passwords.LENGTH_MAX, message="That is too long.")],
    )


class ProfileForm(FlaskForm):
    """How a person is shown, and how figures are shown to them."""

    name = StringField("Name", [InputRequired("Enter your name.")])
    locale = SelectField("Numbers and dates", [InputRequired("Choose how they are written.")])


class PasswordForm(FlaskForm):
    """The old password and the new one."""

    current = PasswordField(
        "Password now", [InputRequired("Enter the password you have now."), Length(max=passwords.LENGTH_MAX)]
    )
    password = PasswordField("New password", [InputRequired("Enter a new password.")])


class JoinForm(FlaskForm):
    """Somebody invited who is new here."""

    name = StringField("Your name", [InputRequired("Enter your name.")])
    password = PasswordField("Password", [InputRequired("Choose a password.")])


class ForgotForm(FlaskForm):
    """The address of somebody who forgot their password."""

    login = StringField(
        "E-mail address", [InputRequired("Enter your e-mail address."), Length(max=254, message="That is too long.")]
    )


class ResetForm(FlaskForm):
    """The new password of somebody who came by a link."""

    password = PasswordField("New password", [InputRequired("Choose a new password.")])
