// Log in, accept an invitation (#invite=CODE), or become the first administrator (#first=SECRET).

const API = '/genonaut/api/v1'
const LOGIN_PATHS = ['/genonaut/login', '/api/genonaut/login']

const WORDS = {
  en: {
    away: 'Genonaut does not answer at the moment. Please try again in a few seconds.',
    logInTitle: 'Log in',
    logInLead: 'This ComfyUI is shared. Yours stays yours.',
    inviteTitle: 'Welcome',
    inviteLead: { admin: 'You are invited as an administrator. Choose a name and a password.', member: 'You are invited. Choose a name and a password.', guest: 'You are invited as a guest. Choose a name and a password.' },
    firstTitle: 'First administrator',
    firstLead: 'Choose a name and a password. Everybody else is invited by you.',
    thereTitle: (name) => `You are ${name}`,
    thereLead: 'You are logged in.',
    openTitle: 'Come in',
    openLead: 'Nobody needs to log in to this ComfyUI.',
    proxyTitle: 'Please use the way in',
    proxyLead: 'This ComfyUI is told who you are by the site in front of it. Open it at the address that you were given.',
    name: 'Name',
    password: 'Password',
    show: 'Show',
    hide: 'Hide',
    showLabel: 'Show the password',
    hint: 'At least 15 characters. Four or five words that have nothing to do with one another are a good password.',
    logIn: 'Log in',
    make: 'Make my account',
    wait: 'One moment …',
    goOn: 'Go on to ComfyUI',
    logOut: 'Log out',
    empty: 'Please fill in both fields.',
    codes: {},
  },
  de: {
    away: 'Genonaut antwortet gerade nicht. Bitte versuche es in ein paar Sekunden noch einmal.',
    logInTitle: 'Anmelden',
    logInLead: 'Dieses ComfyUI wird geteilt. Deins bleibt deins.',
    inviteTitle: 'Willkommen',
    inviteLead: { admin: 'Du bist als Administrator eingeladen. Wähle einen Namen und ein Passwort.', member: 'Du bist eingeladen. Wähle einen Namen und ein Passwort.', guest: 'Du bist als Gast eingeladen. Wähle einen Namen und ein Passwort.' },
    firstTitle: 'Erster Administrator',
    firstLead: 'Wähle einen Namen und ein Passwort. Alle anderen lädst du ein.',
    thereTitle: (name) => `Du bist ${name}`,
    thereLead: 'Du bist angemeldet.',
    openTitle: 'Komm herein',
    openLead: 'Bei diesem ComfyUI muss sich niemand anmelden.',
    proxyTitle: 'Bitte nimm den Eingang',
    proxyLead: 'Wer du bist, sagt diesem ComfyUI die Seite davor. Öffne es unter der Adresse, die du bekommen hast.',
    name: 'Name',
    password: 'Passwort',
    show: 'Zeigen',
    hide: 'Verbergen',
    showLabel: 'Passwort zeigen',
    hint: 'Mindestens 15 Zeichen. Vier oder fünf Wörter, die nichts miteinander zu tun haben, sind ein gutes Passwort.',
    logIn: 'Anmelden',
    make: 'Konto anlegen',
    wait: 'Einen Moment …',
    goOn: 'Weiter zu ComfyUI',
    logOut: 'Abmelden',
    empty: 'Bitte fülle beide Felder aus.',
    codes: {
      account_disabled: 'Dieses Konto ist abgeschaltet. Ein Administrator kann es wieder einschalten.',
      administrator_there: 'Es gibt schon einen Administrator. Melde dich an oder bitte um eine Einladung.',
      credentials_invalid: 'Name oder Passwort stimmen nicht.',
      invite_unknown: 'Diese Einladung gilt nicht oder nicht mehr. Bitte um eine neue.',
      name_taken: 'So heißt schon jemand, oder beinahe so. Wähle einen anderen Namen.',
      password_unfit: 'Dieses Passwort geht nicht: Es ist zu kurz, oder andere würden es als Erstes versuchen.',
      too_many_attempts: 'Das waren zu viele Versuche. Bitte warte einen Moment.',
    },
  },
}

const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in WORDS) ?? 'en'
const words = WORDS[language]
const part = (id) => document.getElementById(id)

/**
 * Where somebody wanted to go: the page that this one stands in the place of, or `?next=`, here and nowhere else.
 * With its origin: a path that begins with two slashes would be another place.
 */
function destination() {
  if (!LOGIN_PATHS.includes(location.pathname)) return location.origin + location.pathname + location.search
  const wanted = read(new URLSearchParams(location.search).get('next') ?? '/')
  const isHere = wanted?.origin === location.origin && !LOGIN_PATHS.includes(wanted.pathname)
  return isHere ? wanted.href : '/'
}

function read(address) {
  try {
    return new URL(address, location.origin)
  } catch {
    return null // it is none
  }
}

/** Ask the sidecar; `{status, body}`, or a status of 0 where nobody answers. */
async function ask(method, path, body) {
  try {
    const answer = await fetch(API + path, {
      method,
      headers: body ? { 'Content-Type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
      cache: 'no-store',
    })
    const isJson = (answer.headers.get('Content-Type') ?? '').includes('json')
    return { status: answer.status, body: isJson ? await answer.json() : {} }
  } catch {
    return { status: 0, body: {} }
  }
}

function sentenceFor({ status, body }) {
  if (status === 0 || status >= 500) return words.away
  return words.codes[body.code] ?? body.detail ?? words.away
}

function complain(sentence, field) {
  part('error').textContent = sentence
  part('error').hidden = !sentence
  for (const id of ['name', 'password']) part(id).toggleAttribute('aria-invalid', false)
  if (!field) return
  field.setAttribute('aria-invalid', 'true')
  field.setAttribute('aria-describedby', 'error')
  field.focus()
}

function say(title, lead) {
  part('title').textContent = document.title = title
  part('lead').textContent = lead
}

/** What the form is for: where it is sent, and with which words. */
async function purpose() {
  const given = new URLSearchParams(location.hash.slice(1))
  if (given.has('first')) {
    say(words.firstTitle, words.firstLead)
    return { path: '/first-administrator', more: { secret: given.get('first') }, isNew: true }
  }
  if (given.has('invite')) {
    const code = given.get('invite')
    const answer = await ask('POST', '/invites/look', { code })
    if (answer.status === 200) {
      say(words.inviteTitle, words.inviteLead[answer.body.role] ?? words.inviteLead.member)
      return { path: '/invites/accept', more: { code }, isNew: true }
    }
    complain(sentenceFor(answer))
  }
  say(words.logInTitle, words.logInLead)
  return { path: '/sessions', more: {}, isNew: false }
}

function showForm({ path, more, isNew }) {
  const [name, password, send] = [part('name'), part('password'), part('send')]
  part('form').hidden = false
  part('hint').hidden = !isNew
  part('hint').textContent = words.hint
  password.autocomplete = isNew ? 'new-password' : 'current-password'
  if (isNew) password.setAttribute('aria-describedby', 'hint')
  send.textContent = isNew ? words.make : words.logIn
  name.focus()

  part('form').onsubmit = async (event) => {
    event.preventDefault()
    if (send.getAttribute('aria-disabled') === 'true') return
    const missing = [name, password].find((field) => !field.value)
    if (missing) return complain(words.empty, missing)
    complain('')
    send.setAttribute('aria-disabled', 'true')
    send.textContent = words.wait
    const answer = await ask('POST', path, { ...more, name: name.value, password: password.value })
    if (answer.status === 201) return location.replace(destination())
    send.setAttribute('aria-disabled', 'false')
    send.textContent = isNew ? words.make : words.logIn
    complain(sentenceFor(answer), answer.body.code === 'name_taken' ? name : password)
  }
}

function showWayOn(title, lead, canLogOut) {
  say(title, lead)
  part('actions').hidden = false
  part('go-on').href = destination()
  part('log-out').hidden = !canLogOut
  part('log-out').onclick = async () => {
    const answer = await ask('DELETE', '/sessions/current')
    if (answer.status === 204 || answer.status === 401) location.reload()
    else complain(sentenceFor(answer))
  }
  part('go-on').focus()
}

function letPasswordBeSeen() {
  const [show, password] = [part('show'), part('password')]
  show.textContent = words.show
  show.setAttribute('aria-label', words.showLabel)
  show.onclick = () => {
    const isShown = password.type === 'text'
    password.type = isShown ? 'password' : 'text'
    show.textContent = isShown ? words.show : words.hide
    show.setAttribute('aria-pressed', String(!isShown))
  }
}

async function start() {
  document.documentElement.lang = language
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = words[element.dataset.text]
  letPasswordBeSeen()
  const { access } = document.documentElement.dataset
  if (access === 'open') return showWayOn(words.openTitle, words.openLead, false)
  if (access === 'proxy') return say(words.proxyTitle, words.proxyLead)
  if (LOGIN_PATHS.includes(location.pathname) && !location.hash) {
    const { status, body } = await ask('GET', '/me')
    if (status === 200) return showWayOn(words.thereTitle(body.name), words.thereLead, body.session_id !== null)
  }
  showForm(await purpose())
}

// A link that is pasted into this tab changes the hash alone.
addEventListener('hashchange', () => location.reload())
start()
