//! Appointments: an order gets its time, its scanner and its room, and loses them again. HL7 v2.5.1
//! 10.3 (SIU); IHE RAD TF-2 4.48 (RAD-48).
//!
//! An appointment is remembered under its numbers, because S13 to S26 often name nothing else. What
//! is booked is one step: one that was cancelled or missed stays as it is, and a new appointment
//! for the order is another step.

use pacslab_hl7::incoming::{Appointment, AppointmentAction, ResourceKind};
use pacslab_model::order::{Identifier, Order, OrderChange, OrderControl, ScheduledStep};
use pacslab_model::{Event, Outcome};
use pacslab_store::{OrderFilter, OrderRecord, StoreError};
use serde::{Deserialize, Serialize};

use super::refused::RefusedOrder;
use super::work::Work;
use super::{Done, identifiers, moved};
use crate::drawer::Drawer;
use crate::events;
use crate::machine::{self, StepEvent};

/// What came of an appointment.
#[derive(Clone, PartialEq, Debug)]
pub struct Booked {
    pub done: Done,
    /// The order as it now is.
    pub order: Order,
    /// The step that it is about.
    pub step: String,
    pub remarks: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BookingState {
    Booked,
    Cancelled,
    Missed,
}

/// What an appointment number stands for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Booking {
    accession: String,
    /// [`Order::key`]
    issuer: String,
    step: String,
    state: BookingState,
}

const BOOKINGS: Drawer<Booking> = Drawer::new("appointment");

/// The table; `None`: not foreseen.
const fn booking(state: BookingState, action: AppointmentAction) -> Option<BookingState> {
    use AppointmentAction as A;
    use BookingState as S;
    match (state, action) {
        (_, A::Book) => Some(S::Booked),
        // whoever did not come is given another time
        (S::Booked | S::Missed, A::Reschedule) | (S::Booked, A::Modify) => Some(S::Booked),
        (_, A::Cancel) => Some(S::Cancelled),
        (S::Booked | S::Missed, A::NoShow) => Some(S::Missed),
        (S::Cancelled, A::Reschedule | A::Modify | A::NoShow) | (S::Missed, A::Modify) => None,
    }
}

impl BookingState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}

impl Work<'_> {
    /// Does what an appointment asks for. Leniently one that is moved or changed and not known is
    /// booked.
    ///
    /// # Errors
    /// See [`RefusedOrder`]; nothing has changed then.
    pub fn appoint(&self, appointment: &Appointment, strict: bool) -> Result<Booked, RefusedOrder> {
        let action = appointment.action;
        let held = self.booking_of(appointment)?;
        let known = match &held {
            Some(booking) => self.order_of(booking)?,
            None => {
                let control = match action {
                    AppointmentAction::Book => OrderControl::New,
                    _ => OrderControl::Change,
                };
                self.ordered(&appointment.order, control)?
            }
        };
        let number = [&appointment.filler.id, &appointment.placer.id];
        let number = number.into_iter().find(|id| !id.is_empty()).cloned().unwrap_or_default();
        let state = held.as_ref().map_or(BookingState::Booked, |booking| booking.state);
        let next = booking(state, action).ok_or_else(|| RefusedOrder::Appointment {
            number: number.clone(),
            problem: format!("has been {} and cannot be {}", state.as_str(), doing(action)),
        })?;
        let mut remarks = Vec::new();
        let (order, done, step) = match known {
            Some(known) if action.stands() => {
                self.booked(appointment, held.as_ref(), &known, &mut remarks)?
            }
            Some(known) => self.given_up(action, held.as_ref(), &known)?,
            None if action == AppointmentAction::Book || (action.stands() && !strict) => {
                if action != AppointmentAction::Book {
                    remarks.push(format!("appointment {number} was not known and is made"));
                }
                let order = appointment.order.clone();
                let control = OrderControl::New;
                let applied = self.attempt(OrderChange { control, order, remarks: Vec::new() })?;
                remarks.extend(applied.remarks);
                let step = applied.order.steps.first().map(|step| step.id.clone());
                (applied.order, applied.done, step.unwrap_or_default())
            }
            None => {
                let problem = "is not known, nor is its order; send it as a new one (S12)".into();
                return Err(RefusedOrder::Appointment { number, problem });
            }
        };
        self.keep_booking(
            appointment,
            &Booking {
                accession: order.accession.clone(),
                issuer: order.key().into_owned(),
                step: step.clone(),
                state: next,
            },
        )?;
        let at = order.steps.iter().find(|there| there.id == step);
        let at = at.filter(|_| action.stands()).map_or_else(String::new, |step| {
            format!(", {} {} on {}", step.start_date, step.start_time, step.station)
        });
        let text = format!("{} for order {}, step {step}{at}", action.means(), order.accession);
        let outcome = if remarks.is_empty() { Outcome::Ok } else { Outcome::Warning };
        let event = Event::new(self.now(), events::ORDER, text).outcome(outcome);
        self.tell(event.ids(identifiers(&order)));
        Ok(Booked { done, order, step, remarks })
    }

    /// A known order gets a time; on its step that waits, or on a new one where that has ended.
    fn booked(
        &self,
        appointment: &Appointment,
        held: Option<&Booking>,
        known: &OrderRecord,
        remarks: &mut Vec<String>,
    ) -> Result<(Order, Done, String), RefusedOrder> {
        let mut told = appointment.order.clone();
        let Some(mut wanted) = told.steps.pop() else {
            return Err(RefusedOrder::Missing {
                what: "what is booked (AIS, AIG)",
                place: ("AIS", 3, 1),
            });
        };
        let steps = &known.order.steps;
        let named = |id: &str| steps.iter().find(|step| !id.is_empty() && step.id == id);
        let waits = |step: &&ScheduledStep| !machine::is_final(step.status);
        let there = named(&wanted.id)
            .or_else(|| held.and_then(|booking| named(&booking.step)))
            .filter(waits)
            .or_else(|| {
                let same = |step: &&ScheduledStep| step.modality == wanted.modality;
                let open = || steps.iter().filter(waits);
                open().find(same).or_else(|| open().next())
            });
        // an appointment that ended took its step with it; an order that was withdrawn is another
        // matter
        let again = held.is_some_and(|booking| booking.state != BookingState::Booked)
            || steps.iter().any(|step| step.status == pacslab_model::order::StepStatus::NoShow);
        let Some(like) = there.or(steps.first()) else {
            return Err(RefusedOrder::unknown(&known.order));
        };
        let booked = |kind| appointment.resources.iter().any(|booked| booked.kind == kind);
        if !booked(ResourceKind::Equipment) {
            wanted.station = like.station.clone();
        }
        let next = if there.is_none() && again {
            let number = self.papers().next_number("scheduled step")?;
            let fresh = ScheduledStep {
                id: format!("SPS{number:07}"),
                start_date: wanted.start_date,
                start_time: wanted.start_time,
                station: wanted.station,
                station_name: first(wanted.station_name, &like.station_name),
                location: first(wanted.location, &like.location),
                status: Default::default(),
                ..like.clone()
            };
            remarks.push(format!("step {} is made for the new appointment", fresh.id));
            wanted = fresh.clone();
            let mut next = known.order.clone();
            next.steps.push(fresh);
            self.ris().filled(self.papers(), next, Some(&known.order), remarks)?
        } else {
            wanted.id.clone_from(&like.id);
            told.procedure.priority = known.order.procedure.priority;
            told.steps.push(wanted.clone());
            self.ris().revised(self.papers(), told, known, remarks)?
        };
        let done = self.keep(&next, Some(known))?;
        Ok((next, done, wanted.id))
    }

    /// S15, S26: the step is not to be done.
    fn given_up(
        &self,
        action: AppointmentAction,
        held: Option<&Booking>,
        known: &OrderRecord,
    ) -> Result<(Order, Done, String), RefusedOrder> {
        let event = match action {
            AppointmentAction::NoShow => StepEvent::Miss,
            _ => StepEvent::Cancel,
        };
        let steps = known.order.steps.iter();
        let theirs: Vec<ScheduledStep> = match held {
            Some(booking) => steps.filter(|step| step.id == booking.step).cloned().collect(),
            None => Vec::new(),
        };
        let next = moved(known, &theirs, |_| Some(event))?;
        let step = held.map(|booking| booking.step.clone());
        let step = step.or_else(|| next.steps.first().map(|step| step.id.clone()));
        let done = self.keep(&next, Some(known))?;
        Ok((next, done, step.unwrap_or_default()))
    }

    fn booking_of(&self, appointment: &Appointment) -> Result<Option<Booking>, StoreError> {
        for key in keys(appointment) {
            if let Some(found) = BOOKINGS.get(self.papers(), &key)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn keep_booking(&self, appointment: &Appointment, made: &Booking) -> Result<(), StoreError> {
        for key in keys(appointment) {
            BOOKINGS.put(self.papers(), &key, made, self.now())?;
        }
        Ok(())
    }

    fn order_of(&self, booking: &Booking) -> Result<Option<OrderRecord>, StoreError> {
        let accession = Some(booking.accession.clone());
        let found = self.papers().orders(&OrderFilter { accession, ..OrderFilter::default() })?;
        Ok(found.into_iter().find(|record| record.order.key() == booking.issuer))
    }
}

/// Under which an appointment is remembered: its number at whoever gave it, and at whoever asked.
fn keys(appointment: &Appointment) -> Vec<String> {
    let key = |side: &str, id: &Identifier| {
        (!id.id.is_empty()).then(|| format!("{side}\u{1f}{}\u{1f}{}", id.id, id.issuer))
    };
    let (filler, placer) = (key("filler", &appointment.filler), key("placer", &appointment.placer));
    filler.into_iter().chain(placer).collect()
}

const fn doing(action: AppointmentAction) -> &'static str {
    match action {
        AppointmentAction::Book => "booked",
        AppointmentAction::Reschedule => "moved (S13); book it anew (S12)",
        AppointmentAction::Modify => "changed (S14); book it anew (S12)",
        AppointmentAction::Cancel => "cancelled",
        AppointmentAction::NoShow => "missed (S26)",
    }
}

fn first(told: String, known: &str) -> String {
    if told.is_empty() { known.to_owned() } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a state, one column an action, in the order of `AppointmentAction::ALL`.
    const TABLE: &str = "
        booked     booked booked booked cancelled missed
        cancelled  booked -      -      cancelled -
        missed     booked booked -      cancelled missed
    ";

    #[test]
    fn every_cell_is_as_the_table_says() {
        let states = [BookingState::Booked, BookingState::Cancelled, BookingState::Missed];
        let rows = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
        let rows: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), states.len());
        for (row, state) in rows.iter().zip(states) {
            assert_eq!(row[0], state.as_str());
            assert_eq!(row.len(), AppointmentAction::ALL.len() + 1);
            for (cell, action) in row[1..].iter().zip(AppointmentAction::ALL) {
                let found = booking(state, action).map_or("-", BookingState::as_str);
                assert_eq!(found, *cell, "{state:?} {action:?}");
            }
        }
    }
}
